{{ config(materialized="ephemeral") }}
select * from (
  values (1, 1, date '2024-01-01'), (2, 1, date '2024-01-02'), (3, 2, date '2024-01-02')
) as orders (order_id, customer_id, ordered_on)
