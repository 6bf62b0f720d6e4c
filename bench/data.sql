-- What the benchmarks work with: entities in the shape of the demo diagram that
-- diagsync was first made for, the same ones for the same numbers everywhere,
-- and bare tables to compare with.

CREATE SCHEMA bench;

CREATE FUNCTION bench.id(n bigint) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN 'id' || md5(n::text)::uuid::text;

-- A number from 0 up to, not including, sides.
CREATE FUNCTION bench.dice(n bigint, throw bigint, sides integer) RETURNS integer
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (hashint8extended(n, throw) & 1073741823) % sides;

-- As the application computes them: whole steps with the noise of 32-bit floats.
CREATE FUNCTION bench.coordinate(n bigint, throw bigint) RETURNS float8
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ((bench.dice(n, throw, 200) - 100) / 10.0)::float4::float8;

CREATE FUNCTION bench.color(n bigint, throw bigint) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '#' || lpad(to_hex(bench.dice(n, throw, 16777216)), 6, '0');

CREATE FUNCTION bench.time(n bigint, throw bigint) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN '2025-11-20T14:' || lpad(bench.dice(n, throw, 60)::text, 2, '0') || ':'
		|| lpad(bench.dice(n, throw + 1, 60)::text, 2, '0') || '.'
		|| lpad(bench.dice(n, throw + 2, 1000)::text, 3, '0') || 'Z';

CREATE FUNCTION bench.shape(n bigint) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN jsonb_build_object(
		'id', bench.id(n), '_id', bench.id(n),
		'position', jsonb_build_object(
			'x', bench.coordinate(n, 1), 'y', bench.coordinate(n, 2), 'z', bench.coordinate(n, 3)),
		'rotation', jsonb_build_object('x', 0, 'y', pi(), 'z', 0),
		'scale', jsonb_build_object('x', 0.1, 'y', 0.1, 'z', 0.1),
		'last_seen', bench.time(n, 4),
		'template', (ARRAY['#box-template', '#sphere-template', '#cylinder-template', '#person-template'])
			[1 + bench.dice(n, 7, 4)],
		'text', (ARRAY['db', 'browser', 'api', 'server', 'user', 'queue'])[1 + bench.dice(n, 8, 6)],
		'color', bench.color(n, 9));

CREATE FUNCTION bench.connection(n bigint) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN jsonb_build_object(
		'id', bench.id(n), '_id', bench.id(n),
		'from', bench.id(bench.dice(n, 1, 1000)), 'to', bench.id(bench.dice(n, 2, 1000)),
		'type', 'entity', 'template', '#connection-template', 'color', bench.color(n, 9));

-- Six shapes to eleven connections, as in the demo.
CREATE FUNCTION bench.document(n bigint) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN n % 17 < 6 THEN bench.shape(n) ELSE bench.connection(n) END;

-- An edit, another for each throw.
CREATE FUNCTION bench.edited(doc jsonb, throw bigint) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN doc || jsonb_build_object(
		'color', bench.color(hashtext(doc ->> 'id'), throw),
		'last_seen', bench.time(hashtext(doc ->> 'id'), throw));

CREATE TABLE bench.source (n bigint, id text COLLATE "C", doc jsonb);
CREATE TABLE bench.edit (id text COLLATE "C", doc jsonb);

-- The columns and indexes of the storage tables, and what plain SQL would put
-- into the stamped ones.
CREATE TABLE bench.bare_local (LIKE diagsync_local.entity);
ALTER TABLE bench.bare_local
	ALTER rev SET DEFAULT 1000000, ALTER modified_at SET DEFAULT now(), ALTER modified_by SET DEFAULT 'role:postgres',
	ADD PRIMARY KEY (diagram_id, id);

CREATE TABLE bench.bare_public (LIKE bench.bare_local INCLUDING DEFAULTS);
ALTER TABLE bench.bare_public ADD PRIMARY KEY (diagram_id, id);
CREATE INDEX ON bench.bare_public (diagram_id, rev);

-- Seconds that so many calls take, from within the server.
CREATE FUNCTION bench.status_seconds(diagram text, calls integer) RETURNS float8
	LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz := clock_timestamp();
BEGIN
	FOR i IN 1 .. calls LOOP
		PERFORM s.state FROM diagsync.status(diagram) s;
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - started);
END $$;

CREATE FUNCTION bench.lookup_seconds(diagram text, calls integer, entities bigint) RETURNS float8
	LANGUAGE plpgsql AS $$
DECLARE
	ids text[] := (SELECT array_agg(bench.id(i * 7919 % entities)) FROM generate_series(1, calls::bigint) i);
	started timestamptz := clock_timestamp();
BEGIN
	FOR i IN 1 .. calls LOOP
		PERFORM b.doc FROM bench.bare_public b WHERE b.diagram_id = diagram AND b.id = ids[i];
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - started);
END $$;
