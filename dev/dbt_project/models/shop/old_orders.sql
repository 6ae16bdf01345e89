{{ config(enabled=false) }}
select 1 as order_id
