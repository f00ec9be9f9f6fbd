-- What each webhook has still to be told, and what was given up, are counted for lists.
CREATE INDEX delivery_open ON delivery (webhook_id, state) WHERE state <> 'delivered';
