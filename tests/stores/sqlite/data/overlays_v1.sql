BEGIN TRANSACTION;
CREATE TABLE edits (
  user TEXT NOT NULL, revision INTEGER NOT NULL, id TEXT NOT NULL, time_ms INTEGER NOT NULL, reverts TEXT,
  request_id TEXT, content_hash TEXT, response BLOB, body TEXT NOT NULL,
  PRIMARY KEY (user, revision)
) WITHOUT ROWID;
INSERT INTO "edits" VALUES('ann',1,'00000000000000000000000000000001',1790000001000,NULL,'r-1','hash of r-1',X'726573706F6E736520746F20722D31','{"changes":[{"after":["added",1,0],"before":null,"triple":["dog","Desires","carrots"]},{"after":["added",1,1],"before":null,"triple":["Zoë","is named","Zo \"Z\" ë"]}],"id":"00000000000000000000000000000001","kind":"facts","revision":1,"time_ms":1790000001000}');
INSERT INTO "edits" VALUES('ann',2,'00000000000000000000000000000002',1790000002000,NULL,'r-2','hash of r-2',X'726573706F6E736520746F20722D32','{"changes":[{"after":["added",2,0],"before":null,"triple":["O’Hara","likes","rhubarb"]},{"after":["added",2,1],"before":null,"triple":["O''Hara","likes","tea"]},{"after":["added",2,2],"before":null,"triple":["freezing","Antonym","hot"]},{"after":null,"before":["added",1,0],"triple":["dog","Desires","carrots"]}],"id":"00000000000000000000000000000002","kind":"facts","revision":2,"time_ms":1790000002000}');
INSERT INTO "edits" VALUES('ann',3,'00000000000000000000000000000003',1790000003000,'00000000000000000000000000000001','r-3','hash of r-3',X'726573706F6E736520746F20722D33','{"changes":[{"after":null,"before":["added",1,1],"triple":["Zoë","is named","Zo \"Z\" ë"]}],"id":"00000000000000000000000000000003","kind":"revert","reverts":"00000000000000000000000000000001","revision":3,"time_ms":1790000003000}');
INSERT INTO "edits" VALUES('ann',4,'00000000000000000000000000000004',1790000004000,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",4,0],"before":null,"triple":["Zo​ra","likes","tulips"]},{"after":["added",4,1],"before":null,"triple":["Zora","likes","tulips"]},{"after":["added",4,2],"before":null,"triple":["Zora","Likes","Tulips"]}],"id":"00000000000000000000000000000004","kind":"facts","revision":4,"time_ms":1790000004000}');
INSERT INTO "edits" VALUES('ann',5,'personalized',1790000009000,NULL,'r-5','hash of r-5',X'00726573706F6E736520746F20722D35','{"changes":[{"after":["added",5,0],"before":null,"probabilities":{"reasoning":0.25,"reasoning_answer_before":0.125,"retrieval_after":0.5,"retrieval_before":0.0},"triple":["parrot","Desires","papaya"]}],"evidence":{"answer":"papaya","answer_after":"papaya","answer_before":"seeds","converged":true,"loss_after":0.25,"loss_before":1.5,"object":"papaya","query":"What does my parrot eat?","relations":["Desires"],"stop_reason":"overtook","subject":"parrot"},"id":"personalized","kind":"personalize","relied_on":[["zora","likes","TULIPS"],["Zora","likes","tulips"]],"revision":5,"time_ms":1790000009000}');
INSERT INTO "edits" VALUES('bad',1,'unreadable',1790000010000,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",1,0],"before":null,"triple":["unit 7","","rule 12"]}],"id":"unreadable","kind":"facts","revision":1,"time_ms":1790000010000}');
INSERT INTO "edits" VALUES('bad',2,'00000000000000000000000000000007',1790000007000,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",2,0],"before":null,"triple":["dog","likes","rope"]}],"id":"00000000000000000000000000000007","kind":"facts","revision":2,"time_ms":1790000007000}');
INSERT INTO "edits" VALUES('bob',1,'00000000000000000000000000000005',1790000005000,NULL,'r-1','hash of r-1',X'726573706F6E736520746F20722D31','{"changes":[{"after":["added",1,0],"before":null,"triple":["dog","Desires","meat"]}],"id":"00000000000000000000000000000005","kind":"facts","revision":1,"time_ms":1790000005000}');
INSERT INTO "edits" VALUES('bob',2,'00000000000000000000000000000006',1790000006000,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",2,0],"before":null,"triple":["犬","IsA","動物"]}],"id":"00000000000000000000000000000006","kind":"facts","revision":2,"time_ms":1790000006000}');
CREATE TABLE erasures (bucket INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
INSERT INTO "erasures" VALUES(898,1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('schema_version','1');
CREATE TABLE overlay (
  user TEXT NOT NULL, head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL,
  head_text TEXT NOT NULL, tail_text TEXT NOT NULL,
  origin TEXT NOT NULL, stamp_revision INTEGER NOT NULL, stamp_position INTEGER NOT NULL,
  PRIMARY KEY (user, head, relation, tail)
) WITHOUT ROWID;
INSERT INTO "overlay" VALUES('ann','freezing','Antonym','hot','freezing','hot','added',2,2);
INSERT INTO "overlay" VALUES('ann','o''hara','likes','tea','O''Hara','tea','added',2,1);
INSERT INTO "overlay" VALUES('ann','o’hara','likes','rhubarb','O’Hara','rhubarb','added',2,0);
INSERT INTO "overlay" VALUES('ann','parrot','Desires','papaya','parrot','papaya','added',5,0);
INSERT INTO "overlay" VALUES('ann','zora','Likes','tulips','Zora','Tulips','added',4,2);
INSERT INTO "overlay" VALUES('ann','zora','likes','tulips','Zora','tulips','added',4,1);
INSERT INTO "overlay" VALUES('ann','zo​ra','likes','tulips','Zo​ra','tulips','added',4,0);
INSERT INTO "overlay" VALUES('bad','dog','likes','rope','dog','rope','added',2,0);
INSERT INTO "overlay" VALUES('bad','unit 7','','rule 12','unit 7','rule 12','added',1,0);
INSERT INTO "overlay" VALUES('bob','dog','Desires','meat','dog','meat','added',1,0);
INSERT INTO "overlay" VALUES('bob','犬','IsA','動物','犬','動物','added',2,0);
CREATE TABLE touches (
  user TEXT NOT NULL, head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL, revision INTEGER NOT NULL,
  head_text TEXT NOT NULL, tail_text TEXT NOT NULL, changed INTEGER NOT NULL,
  origin TEXT, stamp_revision INTEGER, stamp_position INTEGER,
  PRIMARY KEY (user, head, relation, tail, revision)
) WITHOUT ROWID;
INSERT INTO "touches" VALUES('ann','dog','Desires','carrots',1,'dog','carrots',1,'added',1,0);
INSERT INTO "touches" VALUES('ann','dog','Desires','carrots',2,'dog','carrots',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','freezing','Antonym','hot',2,'freezing','hot',1,'added',2,2);
INSERT INTO "touches" VALUES('ann','o''hara','likes','tea',2,'O''Hara','tea',1,'added',2,1);
INSERT INTO "touches" VALUES('ann','o’hara','likes','rhubarb',2,'O’Hara','rhubarb',1,'added',2,0);
INSERT INTO "touches" VALUES('ann','parrot','Desires','papaya',5,'parrot','papaya',1,'added',5,0);
INSERT INTO "touches" VALUES('ann','zora','Likes','tulips',4,'Zora','Tulips',1,'added',4,2);
INSERT INTO "touches" VALUES('ann','zora','likes','tulips',4,'Zora','tulips',1,'added',4,1);
INSERT INTO "touches" VALUES('ann','zora','likes','tulips',5,'zora','TULIPS',0,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','zoë','is named','zo "z" ë',1,'Zoë','Zo "Z" ë',1,'added',1,1);
INSERT INTO "touches" VALUES('ann','zoë','is named','zo "z" ë',3,'Zoë','Zo "Z" ë',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','zo​ra','likes','tulips',4,'Zo​ra','tulips',1,'added',4,0);
INSERT INTO "touches" VALUES('bad','dog','likes','rope',2,'dog','rope',1,'added',2,0);
INSERT INTO "touches" VALUES('bad','unit 7','','rule 12',1,'unit 7','rule 12',1,'added',1,0);
INSERT INTO "touches" VALUES('bob','dog','Desires','meat',1,'dog','meat',1,'added',1,0);
INSERT INTO "touches" VALUES('bob','犬','IsA','動物',2,'犬','動物',1,'added',2,0);
CREATE TABLE users (user TEXT PRIMARY KEY, overlay_id TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "users" VALUES('ann','5f2e99d2c1fbf1c2556e3d857d8dd425',5);
INSERT INTO "users" VALUES('bad','780d1aa612e924c278df251b0c1df5ab',2);
INSERT INTO "users" VALUES('bob','045d5edeafa08d84751559b043b7bdc9',2);
CREATE UNIQUE INDEX edits_by_id ON edits (user, id);
CREATE UNIQUE INDEX edits_by_request ON edits (user, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX edits_by_reverted ON edits (user, reverts) WHERE reverts IS NOT NULL;
CREATE INDEX touches_by_tail ON touches (user, tail, relation, head, revision);
CREATE INDEX overlay_by_tail ON overlay (user, tail, relation, head);
CREATE INDEX overlay_by_age ON overlay (user, stamp_revision DESC, stamp_position DESC);
COMMIT;
