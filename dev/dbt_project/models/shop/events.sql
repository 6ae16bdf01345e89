{{ config(materialized="incremental", unique_key=["event_id", "kind"]) }}
select * from (values (1, 'seen'), (1, 'bought'), (2, 'seen')) as events (event_id, kind)
