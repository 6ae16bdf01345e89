select * from (values (1, 'broken'), (1, 'late'), (3, 'late')) as returned (order_id, reason)
