{{ config(tags=["nightly"]) }}
select order_id, customer_id, ordered_on from {{ ref("stg_orders") }}
{% if target.name == "staging" %}
union all select 4, 2, date '2024-01-03'
{% endif %}
