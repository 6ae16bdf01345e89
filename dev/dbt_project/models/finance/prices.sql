select * from (values (7, date '2024-01-01', 3.5), (7, date '2024-01-02', 4.0),
  (8, date '2024-01-01', 5.0)) as prices (product_id, valid_from, price)
