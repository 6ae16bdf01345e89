select * from (values (1, 1, 7), (1, 2, 8), (2, 1, 7), (3, 1, 8))
  as order_lines (order_id, line, product_id)
