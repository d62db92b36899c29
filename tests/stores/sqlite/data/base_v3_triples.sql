BEGIN TRANSACTION;
CREATE TABLE concepts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, text TEXT NOT NULL, retrievable INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "concepts" VALUES(1,'actor','actor',0);
INSERT INTO "concepts" VALUES(2,'ant','ant',1);
INSERT INTO "concepts" VALUES(3,'bones','bones',0);
INSERT INTO "concepts" VALUES(4,'cat','cat',1);
INSERT INTO "concepts" VALUES(5,'cold','cold',1);
INSERT INTO "concepts" VALUES(6,'dog','dog',11);
INSERT INTO "concepts" VALUES(7,'dogs','dogs',0);
INSERT INTO "concepts" VALUES(8,'freezing','freezing',1);
INSERT INTO "concepts" VALUES(9,'fur','fur',0);
INSERT INTO "concepts" VALUES(10,'hot','hot',3);
INSERT INTO "concepts" VALUES(11,'kennel','kennel',0);
INSERT INTO "concepts" VALUES(12,'me','me',1);
INSERT INTO "concepts" VALUES(13,'meat','meat',0);
INSERT INTO "concepts" VALUES(14,'naïve café','naïve café',1);
INSERT INTO "concepts" VALUES(15,'nose','nose',0);
INSERT INTO "concepts" VALUES(16,'o''hara','O’Hara',2);
INSERT INTO "concepts" VALUES(17,'pet','pet',0);
INSERT INTO "concepts" VALUES(18,'tail','tail',0);
INSERT INTO "concepts" VALUES(19,'tea drinker','tea drinker',0);
INSERT INTO "concepts" VALUES(20,'terrace','terrace',0);
INSERT INTO "concepts" VALUES(21,'warm','warm',1);
INSERT INTO "concepts" VALUES(22,'woof','woof',0);
INSERT INTO "concepts" VALUES(23,'wölfin','Wölfin',0);
INSERT INTO "concepts" VALUES(24,'動物','動物',0);
INSERT INTO "concepts" VALUES(25,'犬','犬',1);
INSERT INTO "concepts" VALUES(26,'🐶','🐶',0);
CREATE TABLE edges (
  head INTEGER NOT NULL, relation INTEGER NOT NULL, rank INTEGER NOT NULL,
  tail INTEGER NOT NULL, weight REAL NOT NULL, source INTEGER NOT NULL,
  merged INTEGER NOT NULL, -- how many edges of the file became this one
  PRIMARY KEY (head, relation, rank)
) WITHOUT ROWID;
INSERT INTO "edges" VALUES(2,-3,0,6,1.0,1,1);
INSERT INTO "edges" VALUES(4,-3,0,6,1.0,1,1);
INSERT INTO "edges" VALUES(5,-1,0,10,1.0,1,1);
INSERT INTO "edges" VALUES(6,-11,0,26,1.0,1,1);
INSERT INTO "edges" VALUES(6,2,0,11,2.0,1,1);
INSERT INTO "edges" VALUES(6,4,0,13,4.0,1,1);
INSERT INTO "edges" VALUES(6,4,1,3,3.0,1,2);
INSERT INTO "edges" VALUES(6,6,0,9,2.0,1,1);
INSERT INTO "edges" VALUES(6,6,1,18,1.0,1,1);
INSERT INTO "edges" VALUES(6,6,2,15,1.0,1,1);
INSERT INTO "edges" VALUES(6,7,0,17,2.25,1,1);
INSERT INTO "edges" VALUES(6,8,0,4,3.0,1,1);
INSERT INTO "edges" VALUES(6,12,0,23,1.0,1,1);
INSERT INTO "edges" VALUES(7,5,0,6,1.0,1,1);
INSERT INTO "edges" VALUES(8,-1,0,10,2.0,1,1);
INSERT INTO "edges" VALUES(10,-1,0,21,0.5,1,1);
INSERT INTO "edges" VALUES(12,-9,0,12,1.0,1,1);
INSERT INTO "edges" VALUES(14,6,0,20,1.000001,1,1);
INSERT INTO "edges" VALUES(16,7,0,19,1.0,1,1);
INSERT INTO "edges" VALUES(16,7,1,1,1.0,1,1);
INSERT INTO "edges" VALUES(22,10,0,6,1.0,1,1);
INSERT INTO "edges" VALUES(25,7,0,24,1.0,1,1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('attribution','');
INSERT INTO "meta" VALUES('declared','[[relation]]
name = "Outranks"
phrases = ["outranks", "ranks above"]
aliases = ["RanksAbove"]

[[relation]]
name = "Befriends"
phrases = ["is a friend of", "befriends"]
symmetric = true

[[relation]]
name = "Spells"
phrases = ["is spelled"]
retrievable = false
');
INSERT INTO "meta" VALUES('fingerprint','580ee0dfa47cd2d0');
INSERT INTO "meta" VALUES('schema_version','3');
INSERT INTO "meta" VALUES('source','{"identity": {"name": "small.csv", "bytes": 511, "digest": "a02d83f80a547381a4544b90311859c462ecadfa8361eebc446548315ebcb402", "modified_ns": 1790000000000000000}, "recipe": {"form": "triples", "languages": [], "min_weight": null, "relations": [], "merge_senses": true, "external_urls": false, "columns": ["head", "relation", "tail"], "columns_given": false, "layout": "csv", "vocabulary": "830b6146267766fe", "declared": "[[relation]]\nname = \"Outranks\"\nphrases = [\"outranks\", \"ranks above\"]\naliases = [\"RanksAbove\"]\n\n[[relation]]\nname = \"Befriends\"\nphrases = [\"is a friend of\", \"befriends\"]\nsymmetric = true\n\n[[relation]]\nname = \"Spells\"\nphrases = [\"is spelled\"]\nretrievable = false\n", "attribution": "", "surface_text": false}}');
INSERT INTO "meta" VALUES('stage','580ee0dfa47cd2d0-37be444e');
CREATE TABLE relations (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, edges INTEGER NOT NULL);
INSERT INTO "relations" VALUES(-11,'Synonym',1);
INSERT INTO "relations" VALUES(-9,'SimilarTo',1);
INSERT INTO "relations" VALUES(-3,'Befriends',2);
INSERT INTO "relations" VALUES(-1,'Antonym',3);
INSERT INTO "relations" VALUES(2,'AtLocation',1);
INSERT INTO "relations" VALUES(4,'Desires',2);
INSERT INTO "relations" VALUES(5,'FormOf',1);
INSERT INTO "relations" VALUES(6,'HasA',4);
INSERT INTO "relations" VALUES(7,'IsA',4);
INSERT INTO "relations" VALUES(8,'Outranks',1);
INSERT INTO "relations" VALUES(10,'Spells',1);
INSERT INTO "relations" VALUES(12,'ist verwandt mit',1);
CREATE TABLE sources (id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, license TEXT NOT NULL, UNIQUE (dataset, license));
INSERT INTO "sources" VALUES(1,'','');
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('edges','edges_mirrored','7 2 2 2 1');
INSERT INTO "sqlite_stat1" VALUES('edges','edges','22 2 2 1');
INSERT INTO "sqlite_stat1" VALUES('concepts','concepts_by_key','26 1');
INSERT INTO "sqlite_stat1" VALUES('sources','sqlite_autoindex_sources_1','1 1 1');
INSERT INTO "sqlite_stat1" VALUES('relations','sqlite_autoindex_relations_1','12 1');
INSERT INTO "sqlite_stat1" VALUES('meta','meta','1 1');
CREATE UNIQUE INDEX concepts_by_key ON concepts (key);
CREATE INDEX edges_of_hubs ON edges (head, relation, tail) WHERE rank >= 64;
CREATE INDEX edges_mirrored ON edges (tail, relation, weight DESC, head) WHERE NOT relation >= 0;
COMMIT;
