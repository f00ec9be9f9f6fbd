-- A change of a setting says in the audit what was in force before and after it, which the table does not know where the config
-- says it: the program writes these lines itself, in the commit of the change.
DROP TRIGGER audit_setting_new;
DROP TRIGGER audit_setting_changed;
