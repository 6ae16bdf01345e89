"""Arguments that are names: of tables and columns, or in the place of an id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_datafold import jobs
from airflow_provider_datafold.operators.base import HookUser

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.identity import Kind

    class _Task(BaseOperator, HookUser):
        def execute_complete(self, *given: Any, **more: Any) -> Any: ...
else:
    _Task = HookUser


class TakesNames(_Task):
    """Takes names as they are given, and looks up the ids that are given by name once a task.

    It comes before the operator or sensor that it is mixed into.
    """

    _found: Mapping[str, int] = {}
    """The ids that were looked up, by argument."""

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: Any = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render to a string what is no list: native rendering makes 202401 of ``2024_01``."""
        jinja_env = jinja_env or self.get_template_env()
        if isinstance(content, str) and all(
            kind == "data" for _, kind, _ in jinja_env.lex(content)
        ):
            return content
        rendered = super().render_template(content, context, jinja_env, seen_oids)
        if isinstance(content, str) and isinstance(rendered, int | float):
            template = jinja_env.from_string(content)
            # Shared: Airflow's context warns of some variables when it is copied.
            nodes = template.root_render_func(template.new_context(context, shared=True))
            return "".join(map(str, nodes))
        return rendered

    def look_up(self, hook: JobHook, kind: Kind, *arguments: str) -> Mapping[str, int]:
        """Return the ids that arguments give, or whose names they give."""
        given = self.checked(hook, **dict.fromkeys(arguments, jobs.identity.id_or_name))
        if all(isinstance(each, int) for each in given.values()):
            return given
        if not self._found:
            self._found = jobs.identity.look_up(hook, kind, given)
        return self._found

    def defer(self, *, kwargs: Mapping[str, Any] | None = None, **more: Any) -> NoReturn:
        """Defer, and hand over what was looked up."""
        found = {"found": dict(self._found)} if self._found else {}
        super().defer(kwargs={**(kwargs or {}), **found}, **more)

    def execute_complete(
        self,
        context: Context,
        event: Mapping[str, Any] | None = None,
        *given: Any,
        found: Mapping[str, int] | None = None,
        **handed_over: Any,
    ) -> Any:
        """Continue after the triggerer has waited, with what was looked up."""
        self._found = found or {}
        return super().execute_complete(context, event, *given, **handed_over)
