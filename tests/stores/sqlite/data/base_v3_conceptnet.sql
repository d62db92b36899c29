BEGIN TRANSACTION;
CREATE TABLE concepts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, text TEXT NOT NULL, retrievable INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "concepts" VALUES(1,'bones','bones',0);
INSERT INTO "concepts" VALUES(2,'cold','cold',1);
INSERT INTO "concepts" VALUES(3,'dog','dog',2);
INSERT INTO "concepts" VALUES(4,'dogs','dogs',0);
INSERT INTO "concepts" VALUES(5,'freezing','freezing',1);
INSERT INTO "concepts" VALUES(6,'hot','hot',2);
INSERT INTO "concepts" VALUES(7,'jazz','jazz',0);
INSERT INTO "concepts" VALUES(8,'meat','meat',0);
INSERT INTO "concepts" VALUES(9,'naïve café','naïve café',0);
INSERT INTO "concepts" VALUES(10,'strasse','straße',0);
INSERT INTO "concepts" VALUES(11,'street','street',0);
CREATE TABLE edges (
  head INTEGER NOT NULL, relation INTEGER NOT NULL, rank INTEGER NOT NULL,
  tail INTEGER NOT NULL, weight REAL NOT NULL, source INTEGER NOT NULL,
  merged INTEGER NOT NULL, -- how many edges of the file became this one
  PRIMARY KEY (head, relation, rank)
) WITHOUT ROWID;
INSERT INTO "edges" VALUES(2,-1,0,6,2.828,5,1);
INSERT INTO "edges" VALUES(3,2,0,8,4.0,1,1);
INSERT INTO "edges" VALUES(3,2,1,1,1.0,3,1);
INSERT INTO "edges" VALUES(4,3,0,3,1.0,4,1);
INSERT INTO "edges" VALUES(5,-1,0,6,1.0,5,1);
INSERT INTO "edges" VALUES(9,5,0,7,0.5,2,1);
INSERT INTO "edges" VALUES(10,-4,0,11,1.0,4,1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('attribution','This graph includes data from ConceptNet 5, which was compiled by the Commonsense Computing Initiative. ConceptNet 5 is
freely available under the Creative Commons Attribution-ShareAlike license (CC BY-SA 4.0) from https://conceptnet.io.
The included data was created by contributors to Commonsense Computing projects, contributors to Wikimedia projects,
Games with a Purpose, Princeton University''s WordNet, DBPedia, OpenCyc, and Umbel.');
INSERT INTO "meta" VALUES('declared','');
INSERT INTO "meta" VALUES('fingerprint','0b343c2fd9659489');
INSERT INTO "meta" VALUES('schema_version','3');
INSERT INTO "meta" VALUES('source','{"identity": {"name": "assertions.csv", "bytes": 1063, "digest": "5fff87169cb10df18289fea82c757ae23bb1ed37ad093d5638bf407ae18dab0c", "modified_ns": 1790000000000000000}, "recipe": {"form": "conceptnet", "languages": ["en"], "min_weight": null, "relations": [], "merge_senses": true, "external_urls": false, "columns": [], "columns_given": false, "layout": "", "vocabulary": "b4d21e3289e4c606", "declared": "", "attribution": "This graph includes data from ConceptNet 5, which was compiled by the Commonsense Computing Initiative. ConceptNet 5 is\nfreely available under the Creative Commons Attribution-ShareAlike license (CC BY-SA 4.0) from https://conceptnet.io.\nThe included data was created by contributors to Commonsense Computing projects, contributors to Wikimedia projects,\nGames with a Purpose, Princeton University''s WordNet, DBPedia, OpenCyc, and Umbel.", "surface_text": false}}');
INSERT INTO "meta" VALUES('stage','0b343c2fd9659489-53f8b7dd');
CREATE TABLE relations (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, edges INTEGER NOT NULL);
INSERT INTO "relations" VALUES(-4,'RelatedTo',1);
INSERT INTO "relations" VALUES(-1,'Antonym',2);
INSERT INTO "relations" VALUES(2,'Desires',2);
INSERT INTO "relations" VALUES(3,'FormOf',1);
INSERT INTO "relations" VALUES(5,'dbpedia/genre',1);
CREATE TABLE sources (id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, license TEXT NOT NULL, UNIQUE (dataset, license));
INSERT INTO "sources" VALUES(1,'/d/conceptnet/4/en','cc:by-sa/4.0');
INSERT INTO "sources" VALUES(2,'/d/dbpedia/en','cc:by-sa/4.0');
INSERT INTO "sources" VALUES(3,'/d/verbosity','cc:by-sa/4.0');
INSERT INTO "sources" VALUES(4,'/d/wiktionary/en','cc:by-sa/4.0');
INSERT INTO "sources" VALUES(5,'/d/wordnet/3.1','cc:by/4.0');
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('edges','edges_mirrored','3 2 2 1 1');
INSERT INTO "sqlite_stat1" VALUES('edges','edges','7 2 2 1');
INSERT INTO "sqlite_stat1" VALUES('concepts','concepts_by_key','11 1');
INSERT INTO "sqlite_stat1" VALUES('sources','sqlite_autoindex_sources_1','5 1 1');
INSERT INTO "sqlite_stat1" VALUES('relations','sqlite_autoindex_relations_1','5 1');
INSERT INTO "sqlite_stat1" VALUES('meta','meta','1 1');
CREATE UNIQUE INDEX concepts_by_key ON concepts (key);
CREATE INDEX edges_of_hubs ON edges (head, relation, tail) WHERE rank >= 64;
CREATE INDEX edges_mirrored ON edges (tail, relation, weight DESC, head) WHERE NOT relation >= 0;
COMMIT;
