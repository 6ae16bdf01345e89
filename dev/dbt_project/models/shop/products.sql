{{ config(tags=["nightly"]) }}
select * from (values (7, 'tea'), (8, 'coffee')) as products (product_id, name)
