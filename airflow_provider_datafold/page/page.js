// The tab "Datafold" in Airflow's UI: gates and monitors of a run, and over a DAG's last runs.
// It needs no build: Airflow brings React. All that tasks wrote is shown as text.
const { createElement: h, useEffect, useState } = globalThis.React;

const HERE = new URL(".", import.meta.url);
const AIRFLOW = new URL("..", HERE);
const RUNS = 30;
const REFRESH = 5000;
const REFUSED = "You may not see this: it takes the permission to read the DAG's runs, task instances and XComs.";
const TROUBLE = { 401: REFUSED, 403: REFUSED, 404: "Airflow has no such DAG or run." };

// A sign beside each colour, for people who do not see red.
const LOOKS = {
  good: ["✓", "passes"],
  bad: ["≠", "differs, or an alert"],
  unknown: ["?", "failed, or not compared"],
  off: ["–", "skipped"],
  waiting: ["…", "not ended"],
};

const CSS = `
.datafold { padding: 16px; font-size: 14px; color: light-dark(#1a202c, #e2e8f0); }
.datafold h2 { font-size: 18px; font-weight: 600; margin: 0 0 4px; }
.datafold p, .datafold ul { margin: 4px 0 12px; }
.datafold li { margin-left: 20px; list-style: disc; }
.datafold table { border-collapse: collapse; width: 100%; }
.datafold th, .datafold td { text-align: left; vertical-align: top; padding: 4px 12px 4px 0;
  border-bottom: 1px solid light-dark(#e2e8f0, #4a5568); overflow-wrap: anywhere; }
.datafold th { font-weight: 600; white-space: nowrap; }
.datafold tbody th { font-weight: 400; white-space: normal; min-width: 160px; }
.datafold .number { text-align: right; white-space: nowrap; }
.datafold .soft { color: light-dark(#4a5568, #a0aec0); }
.datafold a { color: light-dark(#1d4ed8, #90cdf4); text-decoration: underline; }
.datafold .sign { display: inline-block; width: 18px; line-height: 18px; border-radius: 3px;
  text-align: center; font-weight: 700; color: #fff; }
.datafold .good { background: light-dark(#15803d, #166534); }
.datafold .bad { background: light-dark(#b91c1c, #c53030); }
.datafold .unknown { background: #f6ad3c; color: #1a202c; }
.datafold .off, .datafold .waiting { background: light-dark(#718096, #4a5568); }
.datafold .strip { display: flex; gap: 2px; }
.datafold .strip > * { display: flex; flex-direction: column; justify-content: flex-end; width: 18px;
  height: 44px; text-decoration: none; }
.datafold .bar { background: light-dark(#b91c1c, #fc8181); margin: 0 4px 2px; }
.datafold a:focus-visible { outline: 2px solid currentColor; outline-offset: 1px; }
`;

const part = (text) => encodeURIComponent(text);
const runUrl = (dag, run) => `${AIRFLOW}dags/${part(dag)}/runs/${part(run)}`;
const day = (iso) => iso.slice(0, 16).replace("T", " ");
const plain = (value) => (value === null ? "" : value.toLocaleString("en-US", { maximumFractionDigits: 6 }));
const differing = ({ figures: f }) => f.rows_added + f.rows_removed + f.diff_rows_count;

function look(entry) {
  if (entry.counts_as === "waiting") return "waiting";
  if (entry.counts_as === "passed") return "good";
  if (entry.counts_as === "skipped") return "off";
  return entry.is_different ? "bad" : "unknown";
}

const sign = (name) => h("span", { className: `sign ${name}`, "aria-hidden": true }, LOOKS[name][0]);

function Legend() {
  const words = Object.entries(LOOKS).map(([name, [, meaning]]) =>
    h("span", { key: name, style: { marginRight: 16 } }, sign(name), ` ${meaning}`));
  return h("p", { className: "soft" }, words);
}

function Table({ heads, children }) {
  return h("table", null,
    h("thead", null, h("tr", null, heads.map((head) => h("th", { key: head, scope: "col" }, head)))),
    h("tbody", null, children));
}

function Row({ dag, run, entry }) {
  const place = entry.map_index < 0 ? "" : `/mapped/${entry.map_index}`;
  const task = `${runUrl(dag, run)}/tasks/${part(entry.task_id)}${place}`;
  const { figures: f } = entry;
  const columns = entry.columns.map((column) => `${column.name} (${plain(column.different)})`).join(", ");
  const notes = [...entry.doubts, ...(entry.sampled ? ["only a sample was compared"] : [])];
  return h("tr", null,
    h("td", { style: { whiteSpace: "nowrap" } }, sign(look(entry)), ` ${entry.outcome}`),
    h("th", { scope: "row" }, h("a", { href: task }, entry.label)),
    h("td", null, entry.reason,
      notes.map((note, index) => h("div", { key: index, className: "soft" }, `⚠ ${note}`))),
    [f.rows_added, f.rows_removed, f.diff_rows_count, f.match_ratio].map((figure, index) =>
      h("td", { key: index, className: "number" }, plain(figure))),
    h("td", null, columns),
    h("td", null, entry.url && h("a", { href: entry.url, target: "_blank", rel: "noreferrer" }, "open")));
}

function Run({ dag, run }) {
  const heads = ["outcome", "what", "reason", "added", "removed", "different", "match", "columns", "Datafold"];
  if (!run.entries.length && !run.left_out.length) return h("p", null, "No gate or monitor is in this run.");
  return h("div", null,
    h("h2", null, run.headline),
    h(Legend),
    h(Table, { heads }, run.entries.map((entry) =>
      h(Row, { key: `${entry.task_id} ${entry.map_index}`, dag, run: run.run_id, entry }))),
    run.left_out.length > 0 && h("section", null, h("h2", { style: { marginTop: 16 } }, "Left out"),
      h("ul", null, run.left_out.map(({ name, reason }, index) => h("li", { key: index }, `${name}: ${reason}`)))));
}

// Which gate is which: by its task and table, because a map index may be another table's next time.
function gatesOf(runs) {
  const names = {};
  const gates = new Map();
  const place = (entry) => `${entry.task_id} ${entry.map_index}`;
  const all = runs.flatMap((run, column) => run.entries.map((entry) => [entry, column]));
  for (const [entry] of all) if (entry.has_verdict) names[place(entry)] ??= entry.label;
  for (const [entry, column] of all) {
    const label = entry.has_verdict ? entry.label : names[place(entry)] ?? entry.label;
    const key = JSON.stringify([entry.task_id, label]);
    if (!gates.has(key)) gates.set(key, { key, label, task: entry.task_id, cells: Array(runs.length).fill(null) });
    gates.get(key).cells[column] ??= entry; // The worst comes first.
  }
  const wrong = (entry) => entry && ["bad", "unknown"].includes(look(entry));
  for (const gate of gates.values()) {
    gate.wrong = gate.cells.filter(wrong).length;
    gate.most = Math.max(1, ...gate.cells.map((entry) => (entry ? differing(entry) : 0)));
  }
  return [...gates.values()].sort((a, b) => b.wrong - a.wrong || a.label.localeCompare(b.label));
}

function step(event) {
  const { key, currentTarget } = event;
  const to = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[key];
  let next = to && currentTarget[to];
  while (next && !next.href) next = next[to];
  next?.focus();
}

function Strip({ dag, runs, gate }) {
  const last = gate.cells.findIndex(Boolean);
  const cells = gate.cells.map((entry, column) => {
    const run = runs[column];
    if (!entry) return h("span", { key: run.run_id });
    const rows = differing(entry);
    const said = `${day(run.run_after)} ${entry.outcome}${entry.reason && `: ${entry.reason}`}`;
    return h("a", {
      key: run.run_id, href: `${runUrl(dag, run.run_id)}/plugin/datafold-dag-run`,
      title: said, "aria-label": said, tabIndex: column === last ? 0 : -1, onKeyDown: step,
    }, rows > 0 && h("span", { className: "bar", style: { height: 2 + 20 * Math.sqrt(rows / gate.most) } }), sign(look(entry)));
  });
  return h("tr", null,
    h("th", { scope: "row" }, gate.label, gate.label !== gate.task && h("div", { className: "soft" }, gate.task)),
    h("td", null, h("div", { className: "strip" }, cells.reverse())),
    h("td", { className: "number" }, `${gate.wrong} of ${gate.cells.filter(Boolean).length}`));
}

function History({ dag, runs }) {
  const gates = gatesOf(runs);
  if (!gates.length) return h("p", null, "No gate or monitor is in the last runs of this DAG.");
  return h("div", null,
    h("h2", null, `Gates and monitors, last ${runs.length} runs`),
    h(Legend),
    h("p", { className: "soft" }, "The newest run is on the right. A bar shows how many rows differ, beside the most of its row. Move in a row with the arrow keys."),
    h(Table, { heads: ["what", "runs", "did not pass"] },
      gates.map((gate) => h(Strip, { key: gate.key, dag, runs, gate }))));
}

globalThis.AirflowPlugin = function Datafold({ dagId, runId }) {
  const [found, setFound] = useState({});
  const asked = `${dagId} ${runId}`;
  useEffect(() => {
    let timer;
    const stop = new AbortController();
    const query = new URLSearchParams(runId ? { run_id: runId } : { runs: RUNS });
    const load = async () => {
      try {
        const response = await fetch(new URL(`verdicts/${part(dagId)}?${query}`, HERE), { signal: stop.signal });
        const error = response.ok ? null : TROUBLE[response.status] ?? `Airflow answers with status ${response.status}.`;
        const data = response.ok ? await response.json() : null;
        setFound({ asked, error, data });
        const goesOn = data?.runs.some((run) => !["success", "failed"].includes(run.state));
        if (goesOn) timer = setTimeout(load, REFRESH);
      } catch (error) {
        if (stop.signal.aborted) return;
        setFound((before) => ({ ...before, asked, error: `Airflow cannot be reached: ${error.message}` }));
        timer = setTimeout(load, REFRESH);
      }
    };
    load();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [dagId, runId]);
  const { error, data } = found.asked === asked ? found : {};
  return h("div", { className: "datafold" }, h("style", null, CSS),
    error && h("p", { role: "alert" }, error),
    !error && !data && h("p", { role: "status" }, "Loading…"),
    data && (runId ? h(Run, { dag: dagId, run: data.runs[0] }) : h(History, { dag: dagId, runs: data.runs })));
};
