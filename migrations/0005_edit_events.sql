-- A change of a run's name, priority or labels is an event as well, with what they are from then on.
ALTER TABLE event ADD COLUMN name TEXT;
ALTER TABLE event ADD COLUMN priority INTEGER;
ALTER TABLE event ADD COLUMN labels_json TEXT;

-- One more type. ALTER TABLE cannot change a CHECK, and a copy of the table took 45 s for five million events; systemd
-- ends a start after 90. So the text of the schema is changed, as sqlite.org/lang_altertable.html, 7, describes it for
-- changes that no stored row can notice: whatever passed the old CHECK passes the new one.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '''state'', ''epoch'', ''checkpoint''', '''state'', ''epoch'', ''checkpoint'', ''edit''')
    WHERE type = 'table' AND name = 'event';
PRAGMA writable_schema = RESET;
