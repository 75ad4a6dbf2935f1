-- Until when an object is to be locked at least, in a store that locks.
ALTER TABLE outbox ADD COLUMN locked_until INTEGER;

-- The snapshot whose `store.completed` event covers the receipt.
ALTER TABLE receipt ADD COLUMN completed TEXT;
