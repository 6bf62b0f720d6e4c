-- What the guard of costs works with: copies of the size that an operation asks
-- for, linked or not, with edits on either side.

CREATE SCHEMA cost;

CREATE FUNCTION cost.id(n int) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'e' || md5(n::text);

CREATE FUNCTION cost.document(n int) RETURNS jsonb LANGUAGE sql IMMUTABLE
	RETURN jsonb_build_object('id', cost.id(n), 'text', 'entity ' || n, 'color', '#' || substr(md5(n::text), 1, 6),
		'position', jsonb_build_object('x', n, 'y', 2 * n, 'z', 0), 'template', '#box', 'seen', n);

-- A diagram of so many entities.
CREATE FUNCTION cost.make(diagram text, storage_type text, entities int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM diagsync.create_diagram('Diagram ' || diagram, storage_type, diagram);
	EXECUTE format('INSERT INTO diagsync_%I.entity (diagram_id, id, doc) SELECT $1, cost.id(n), cost.document(n) FROM generate_series(1, $2) AS n', storage_type)
		USING diagram, entities;
END $$;

-- A local diagram of so many entities, and its shared copy "far ...".
CREATE FUNCTION cost.pair(diagram text, entities int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cost.make(diagram, 'local', entities), diagsync.share(diagram, 'far ' || diagram);
END $$;

-- Edits one property of so many entities, all over a diagram of this size.
CREATE FUNCTION cost.edit(diagram text, changes int, entities int, property text, value text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE diagsync_%I.entity SET doc = doc || jsonb_build_object($1, $2)
		WHERE diagram_id = $3 AND id IN (SELECT cost.id(n * ($5 / $4)) FROM generate_series(1, $4) AS n)',
		(SELECT storage_type FROM diagsync.directory WHERE id = diagram))
		USING property, value, diagram, changes, entities;
END $$;

-- What "put" is given: so many entities that differ from those that there are.
CREATE FUNCTION cost.entities(count int) RETURNS jsonb LANGUAGE sql IMMUTABLE
	RETURN (SELECT jsonb_agg(cost.document(n) || '{"color": "put"}') FROM generate_series(1, count) AS n);
