-- The statements that bench/sqlite_compare.py gives to each extension: as they stand here to rhumb0 and to vec0, and with
-- its own words for MATCH and k to vectorlite. :q is the query.

-- nearest
SELECT rowid, distance FROM v WHERE embedding MATCH :q AND k = 10 ORDER BY distance;

-- hundred
SELECT rowid, distance FROM v WHERE embedding MATCH :q AND k = 100 ORDER BY distance;

-- listed
SELECT rowid, distance FROM v WHERE embedding MATCH :q AND k = 10
   AND rowid IN (SELECT id FROM words WHERE chosen) ORDER BY distance;

-- joined
SELECT words.id, v.distance FROM v JOIN words ON words.id = v.rowid
 WHERE v.embedding MATCH :q AND words.chosen ORDER BY v.distance LIMIT 10;

-- joined with k
SELECT words.id, v.distance FROM v JOIN words ON words.id = v.rowid
 WHERE v.embedding MATCH :q AND k = 10 AND words.chosen ORDER BY v.distance LIMIT 10;
