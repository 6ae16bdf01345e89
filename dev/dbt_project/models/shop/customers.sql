select * from (values (1, 'Ada', false), (2, 'Grace', false), (3, 'Test', true))
  as customers (customer_id, name, is_test)
