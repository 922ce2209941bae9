// Statements of history-facts.ts. ?1 is a JSON array: services as [hex, port, protocol], or tiles as [job, tile].

const REVOKED = `(select min(q.stamp_ms) from signer s cross join revoke_of v on v.key = s.key cross join record q on q.n = v.rec
  where s.n = x.signer)`;

const frontierOf = (record: string) => `(select json_group_array(json_array(l.id, f.upto, f.upto <= l.prefix,
    (select r.stamp_ms from record r where r.log = f.log and r.rseq = f.upto)))
  from frontier f cross join log l on l.n = f.log where f.rec = ${record})`;

/** The newest tiles that hold each service (at most ?2 each): one seek for each layout. */
export const COVERS = `select service, job, tile from (
    select k.key as service, lower(hex(j.id)) as job, a.tile,
      row_number() over (partition by k.key order by j.planned_at_ms desc, j.id) as turn
    from json_each(?1) k cross join layout y
      cross join layout_range a on a.layout = y.n
        and a.hi = (select b.hi from layout_range b where b.layout = y.n and b.hi >= unhex(k.value->>0) order by b.hi limit 1)
      cross join layout_tile t on t.layout = y.n and t.tile = a.tile
      cross join job_layout i on i.layout = y.n cross join job j on j.id = i.job
    where a.lo <= unhex(k.value->>0)
      and (select p.lo from port_set p where p.id = t.port_set and p.proto = k.value->>2 and p.hi >= k.value->>1 order by p.hi limit 1) <= k.value->>1)
  where turn <= ?2 order by service, turn`;

export const JOBS = `select p.key as pair, j.close_after, j.confirm, j.home, t.shards,
    (select min(r.stamp_ms) from record r where r.id = j.id) as stamp_ms,
    (select json_group_array(region) from job_region where job = j.id and listed = 1) as regions, ${frontierOf("j.id")} as frontier
  from json_each(?1) p cross join job j on j.id = unhex(p.value->>0) cross join tile t on t.job = j.id and t.n = p.value->>1`;

export const COMPLETES = `select p.key as pair, lower(hex(c.id)) as id, c.shards, c.held is not null as held,
    (select json_group_array(json_array(l.id, r.rseq, r.stamp_ms)) from record r cross join log l on l.n = r.log where r.id = c.id) as positions,
    (select min(r.stamp_ms) from tile_release y cross join record r on r.id = y.rec where y.tc = c.id) as released_ms
  from json_each(?1) p cross join tile_complete c on c.job = unhex(p.value->>0) and c.tile = p.value->>1`;

export const NEEDS = `select lower(hex(n.tc)) as tc,
    coalesce(x.job = c.job and x.tile = c.tile and x.shard = n.shard and x.complete = 1, 0) as good,
    exists (select 1 from report_part b where b.report = x.id and not exists (select 1 from record k where k.id = b.part and k.kind = 'part')) as lacks,
    (select min(r.stamp_ms) from record r where r.id = n.report) as stamp_ms,
    (select max((select min(k.stamp_ms) from record k where k.id = b.part)) from report_part b where b.report = x.id) as parts_ms,
    (select min(q.stamp_ms) from report o indexed by report_run cross join record q on q.id = o.id where o.run = x.run and o.signer = x.signer and o.id <> x.id) as contradicted_ms,
    ${REVOKED} as revoked_ms
  from json_each(?1) p cross join tile_complete c on c.job = unhex(p.value->>0) and c.tile = p.value->>1
    cross join tile_need n on n.tc = c.id left join report x on x.id = n.report`;

export const CONFIRMS = `select k.key as service, x.region, x.scanner, x.basis,
    (select min(r.stamp_ms) from record r cross join log l on l.n = r.log and l.region = x.region where r.id = x.id) as stamp_ms,
    ${frontierOf("x.id")} as frontier, ${REVOKED} as revoked_ms
  from json_each(?1) k cross join probe_result q on q.ip = unhex(k.value->>0) and q.port = k.value->>1 and q.proto = k.value->>2
    cross join probe x on x.id = q.probe where q.answer in (1, 2)`;

/** Positions at which a service was seen: by probes, and the last ones of each log. */
export const SEEN = `select k.key as service, l.id as log, r.rseq, r.stamp_ms, l.region
  from json_each(?1) k cross join probe_result q on q.ip = unhex(k.value->>0) and q.port = k.value->>1 and q.proto = k.value->>2 and q.answer = 0
    cross join record r on r.id = q.probe cross join log l on l.n = r.log
  union all select k.key, l.id, r.rseq, r.stamp_ms, iif(g.own_rseq = r.rseq, l.region, null)
  from json_each(?1) k cross join sighting g on g.ip = unhex(k.value->>0) and g.port = k.value->>1 and g.proto = k.value->>2
    cross join log l on l.n = g.log cross join record r on r.log = g.log and r.rseq in (g.last_rseq, g.own_rseq)`;

/** Newest part and upload records (at most ?3) that may hold any of the services ?2: none above the last sighting of its log. */
export const PAYLOADS = `with reach(log, upto) as (
    select g.log, max(g.last_rseq) from json_each(?2) k
      cross join sighting g on g.ip = unhex(k.value->>0) and g.port = k.value->>1 and g.proto = k.value->>2 group by g.log)
  select n from (
    select r.n, r.stamp_ms from json_each(?1) p cross join part_of o on o.job = unhex(p.value->>0) and o.tile = p.value->>1
      cross join record r on r.n = o.rec cross join reach h on h.log = r.log and r.rseq <= h.upto
    union select r.n, r.stamp_ms from upload_of o cross join record r on r.n = o.rec cross join reach h on h.log = r.log and r.rseq <= h.upto)
  order by stamp_ms desc, n limit ?3`;
