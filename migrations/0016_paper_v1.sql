-- What the preset `paper` was is `paper-v1`: since then `paper` is the paper's own network. Runs of before are what they
-- were; their config_json, which has no `shortcut`, is read so. What was asked for as a sweep is asked for again as it was.
UPDATE run SET preset = 'paper-v1' WHERE preset = 'paper';
UPDATE sweep SET spec_json = json_replace(spec_json, '$.base.preset', 'paper-v1')
    WHERE CASE WHEN json_valid(spec_json) THEN json_extract(spec_json, '$.base.preset') = 'paper' END;
UPDATE sweep SET spec_json = json_replace(spec_json, '$.grid.preset', json((
        SELECT json_group_array(CASE value WHEN 'paper' THEN 'paper-v1' ELSE value END)
            FROM json_each(spec_json, '$.grid.preset'))))
    WHERE CASE WHEN json_valid(spec_json) THEN json_extract(spec_json, '$.grid.preset') LIKE '%"paper"%' END;
