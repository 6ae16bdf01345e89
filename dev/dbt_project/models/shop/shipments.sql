select * from (values (1, 'a', 2), (1, 'b', 1), (2, 'a', 3)) as shipments (order_id, parcel, kg)
