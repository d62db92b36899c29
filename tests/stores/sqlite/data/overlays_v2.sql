BEGIN TRANSACTION;
CREATE TABLE edits (
  user TEXT NOT NULL, revision INTEGER NOT NULL, id TEXT NOT NULL, time_ms INTEGER NOT NULL, reverts TEXT,
  request_id TEXT, content_hash TEXT, response BLOB, body TEXT NOT NULL,
  PRIMARY KEY (user, revision)
) WITHOUT ROWID;
INSERT INTO "edits" VALUES('ann',1,'edit-1',1795000000001,NULL,'r-1','hash of r-1',X'726573706F6E736520746F20722D31','{"changes":[{"after":["added",1,0],"before":null,"triple":["dog","Desires","carrots"]},{"after":["added",1,1],"before":null,"triple":["Zoë","is named","Zo \"Z\" ë"]}],"id":"edit-1","kind":"facts","revision":1,"time_ms":1795000000001}');
INSERT INTO "edits" VALUES('ann',2,'edit-2',1795000000002,NULL,'r-2','hash of r-2',X'726573706F6E736520746F20722D32','{"changes":[{"after":["removed",2,0],"before":null,"triple":["dog","Desires","bones"]},{"after":["added",2,1],"before":null,"triple":["hot","Antonym","icy"]},{"after":["added",2,2],"before":null,"triple":["O’Hara","likes","rhubarb"]}],"id":"edit-2","kind":"facts","revision":2,"time_ms":1795000000002}');
INSERT INTO "edits" VALUES('ann',3,'edit-3',1795000000003,NULL,'r-3','hash of r-3',X'726573706F6E736520746F20722D33','{"changes":[{"after":["added",3,0],"before":null,"probabilities":{"reasoning":0.9,"reasoning_answer_before":0.05,"retrieval_after":0.75,"retrieval_before":0.0},"triple":["dog","Desires","tofu — ☕"]},{"after":["removed",3,1],"before":null,"probabilities":{"reasoning":0.1,"reasoning_answer_before":null,"retrieval_after":0.0,"retrieval_before":0.25},"triple":["dog","Desires","meat"]}],"evidence":{"answer":"tofu — ☕","answer_after":"tofu — ☕","answer_before":"carrots","converged":true,"loss_after":0.125,"loss_before":null,"object":"tofu — ☕","query":"What does my dog like?","relations":["Desires","HasA"],"stop_reason":"overtook","subject":"dog"},"id":"edit-3","kind":"personalize","relied_on":[["dog","Desires","carrots"]],"revision":3,"time_ms":1795000000003}');
INSERT INTO "edits" VALUES('ann',4,'00000000000000000000000000000001',1795000000000,'edit-2','r-5','hash of r-5',X'726573706F6E736520746F20722D35','{"changes":[{"after":null,"before":["added",2,2],"triple":["O’Hara","likes","rhubarb"]},{"after":null,"before":["added",2,1],"triple":["hot","Antonym","icy"]},{"after":null,"before":["removed",2,0],"triple":["dog","Desires","bones"]}],"id":"00000000000000000000000000000001","kind":"revert","reverts":"edit-2","revision":4,"time_ms":1795000000000}');
INSERT INTO "edits" VALUES('ann',5,'edit-5',1795000000005,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",5,0],"before":["added",1,0],"triple":["dog","Desires","carrots"]},{"after":["added",5,1],"before":null,"triple":["ann","Befriends","dog"]}],"id":"edit-5","kind":"facts","revision":5,"time_ms":1795000000005}');
INSERT INTO "edits" VALUES('cy',1,'cy-1',1795000000001,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",1,0],"before":null,"triple":["dog","Desires","meat"]}],"id":"cy-1","kind":"facts","revision":1,"time_ms":1795000000001}');
INSERT INTO "edits" VALUES('cy',2,'00000000000000000000000000000002',1795000001000,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",2,0],"before":null,"triple":["Zoë","is named","Zo \"Z\" ë"]},{"after":["added",2,1],"before":null,"triple":["dog","Desires","tofu — ☕"]},{"after":["removed",2,2],"before":["added",1,0],"triple":["dog","Desires","meat"]},{"after":["added",2,3],"before":null,"triple":["dog","Desires","carrots"]},{"after":["added",2,4],"before":null,"triple":["ann","Befriends","dog"]}],"id":"00000000000000000000000000000002","kind":"import","revision":2,"time_ms":1795000001000}');
INSERT INTO "edits" VALUES('犬',1,'edit-1',1795000000001,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",1,0],"before":null,"triple":["dog","Desires","carrots"]},{"after":["added",1,1],"before":null,"triple":["Zoë","is named","Zo \"Z\" ë"]}],"id":"edit-1","kind":"facts","revision":1,"time_ms":1795000000001}');
INSERT INTO "edits" VALUES('犬',2,'edit-2',1795000000002,NULL,NULL,NULL,NULL,'{"changes":[{"after":["removed",2,0],"before":null,"triple":["dog","Desires","bones"]},{"after":["added",2,1],"before":null,"triple":["hot","Antonym","icy"]},{"after":["added",2,2],"before":null,"triple":["O’Hara","Desires","rhubarb"]}],"id":"edit-2","kind":"facts","revision":2,"time_ms":1795000000002}');
INSERT INTO "edits" VALUES('犬',3,'edit-3',1795000000003,NULL,NULL,NULL,NULL,'{"changes":[{"after":["added",3,0],"before":null,"probabilities":{"reasoning":0.9,"reasoning_answer_before":0.05,"retrieval_after":0.75,"retrieval_before":0.0},"triple":["dog","Desires","tofu — ☕"]},{"after":["removed",3,1],"before":null,"probabilities":{"reasoning":0.1,"reasoning_answer_before":null,"retrieval_after":0.0,"retrieval_before":0.25},"triple":["dog","Desires","meat"]}],"evidence":{"answer":"tofu — ☕","answer_after":"tofu — ☕","answer_before":"carrots","converged":true,"loss_after":0.125,"loss_before":null,"object":"tofu — ☕","query":"What does my dog like?","relations":["Desires","HasA"],"stop_reason":"overtook","subject":"dog"},"id":"edit-3","kind":"personalize","relied_on":[["dog","Desires","carrots"]],"revision":3,"time_ms":1795000000003}');
INSERT INTO "edits" VALUES('犬',4,'00000000000000000000000000000001',1795000000000,'edit-2',NULL,NULL,NULL,'{"changes":[{"after":null,"before":["added",2,2],"triple":["O’Hara","Desires","rhubarb"]},{"after":null,"before":["added",2,1],"triple":["hot","Antonym","icy"]},{"after":null,"before":["removed",2,0],"triple":["dog","Desires","bones"]}],"id":"00000000000000000000000000000001","kind":"revert","reverts":"edit-2","revision":4,"time_ms":1795000000000}');
INSERT INTO "edits" VALUES('犬',5,'edit-5',1795000000005,NULL,'r-1','hash of r-1',X'696D706F72746564','{"changes":[{"after":["added",5,0],"before":["added",1,0],"triple":["dog","Desires","carrots"]},{"after":["added",5,1],"before":null,"triple":["ann","Befriends","dog"]}],"id":"edit-5","kind":"facts","revision":5,"time_ms":1795000000005}');
CREATE TABLE erased_requests (
  digest BLOB PRIMARY KEY, time_ms INTEGER NOT NULL, edits INTEGER NOT NULL, added INTEGER NOT NULL,
  removed INTEGER NOT NULL, concepts INTEGER NOT NULL, responses INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "erased_requests" VALUES(X'1B822ED3F439ECB9E5EC5688F042571D3B1584B278B5A094DD5A6BDE2B58FF83',1795000002000,1,1,1,2,1);
CREATE TABLE erasures (bucket INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
INSERT INTO "erasures" VALUES(1318,1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('schema_version','2');
CREATE TABLE overlay (
  user TEXT NOT NULL, head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL,
  head_text TEXT NOT NULL, tail_text TEXT NOT NULL,
  origin TEXT NOT NULL, stamp_revision INTEGER NOT NULL, stamp_position INTEGER NOT NULL,
  PRIMARY KEY (user, head, relation, tail)
) WITHOUT ROWID;
INSERT INTO "overlay" VALUES('ann','ann','Befriends','dog','ann','dog','added',5,1);
INSERT INTO "overlay" VALUES('ann','dog','Desires','carrots','dog','carrots','added',5,0);
INSERT INTO "overlay" VALUES('ann','dog','Desires','meat','dog','meat','removed',3,1);
INSERT INTO "overlay" VALUES('ann','dog','Desires','tofu — ☕','dog','tofu — ☕','added',3,0);
INSERT INTO "overlay" VALUES('ann','zoë','is named','zo "z" ë','Zoë','Zo "Z" ë','added',1,1);
INSERT INTO "overlay" VALUES('cy','ann','Befriends','dog','ann','dog','added',2,4);
INSERT INTO "overlay" VALUES('cy','dog','Desires','carrots','dog','carrots','added',2,3);
INSERT INTO "overlay" VALUES('cy','dog','Desires','meat','dog','meat','removed',2,2);
INSERT INTO "overlay" VALUES('cy','dog','Desires','tofu — ☕','dog','tofu — ☕','added',2,1);
INSERT INTO "overlay" VALUES('cy','zoë','is named','zo "z" ë','Zoë','Zo "Z" ë','added',2,0);
INSERT INTO "overlay" VALUES('犬','ann','Befriends','dog','ann','dog','added',5,1);
INSERT INTO "overlay" VALUES('犬','dog','Desires','carrots','dog','carrots','added',5,0);
INSERT INTO "overlay" VALUES('犬','dog','Desires','meat','dog','meat','removed',3,1);
INSERT INTO "overlay" VALUES('犬','dog','Desires','tofu — ☕','dog','tofu — ☕','added',3,0);
INSERT INTO "overlay" VALUES('犬','zoë','is named','zo "z" ë','Zoë','Zo "Z" ë','added',1,1);
CREATE TABLE responses (
  user TEXT NOT NULL, request_id TEXT NOT NULL, number INTEGER NOT NULL, content_hash TEXT NOT NULL, response BLOB NOT NULL,
  PRIMARY KEY (user, request_id)
) WITHOUT ROWID;
INSERT INTO "responses" VALUES('ann','r-4',1,'hash of r-4',X'726573706F6E736520746F20722D34');
INSERT INTO "responses" VALUES('quiet','r-1',1,'hash of r-1',X'726573706F6E736520746F20722D31');
CREATE TABLE touches (
  user TEXT NOT NULL, head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL, revision INTEGER NOT NULL,
  head_text TEXT NOT NULL, tail_text TEXT NOT NULL, changed INTEGER NOT NULL,
  origin TEXT, stamp_revision INTEGER, stamp_position INTEGER,
  PRIMARY KEY (user, head, relation, tail, revision)
) WITHOUT ROWID;
INSERT INTO "touches" VALUES('ann','ann','Befriends','dog',5,'ann','dog',1,'added',5,1);
INSERT INTO "touches" VALUES('ann','dog','Desires','bones',2,'dog','bones',1,'removed',2,0);
INSERT INTO "touches" VALUES('ann','dog','Desires','bones',4,'dog','bones',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','dog','Desires','carrots',1,'dog','carrots',1,'added',1,0);
INSERT INTO "touches" VALUES('ann','dog','Desires','carrots',3,'dog','carrots',0,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','dog','Desires','carrots',5,'dog','carrots',1,'added',5,0);
INSERT INTO "touches" VALUES('ann','dog','Desires','meat',3,'dog','meat',1,'removed',3,1);
INSERT INTO "touches" VALUES('ann','dog','Desires','tofu — ☕',3,'dog','tofu — ☕',1,'added',3,0);
INSERT INTO "touches" VALUES('ann','hot','Antonym','icy',2,'hot','icy',1,'added',2,1);
INSERT INTO "touches" VALUES('ann','hot','Antonym','icy',4,'hot','icy',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','o''hara','likes','rhubarb',2,'O’Hara','rhubarb',1,'added',2,2);
INSERT INTO "touches" VALUES('ann','o''hara','likes','rhubarb',4,'O’Hara','rhubarb',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('ann','zoë','is named','zo "z" ë',1,'Zoë','Zo "Z" ë',1,'added',1,1);
INSERT INTO "touches" VALUES('cy','ann','Befriends','dog',2,'ann','dog',1,'added',2,4);
INSERT INTO "touches" VALUES('cy','dog','Desires','carrots',2,'dog','carrots',1,'added',2,3);
INSERT INTO "touches" VALUES('cy','dog','Desires','meat',1,'dog','meat',1,'added',1,0);
INSERT INTO "touches" VALUES('cy','dog','Desires','meat',2,'dog','meat',1,'removed',2,2);
INSERT INTO "touches" VALUES('cy','dog','Desires','tofu — ☕',2,'dog','tofu — ☕',1,'added',2,1);
INSERT INTO "touches" VALUES('cy','zoë','is named','zo "z" ë',2,'Zoë','Zo "Z" ë',1,'added',2,0);
INSERT INTO "touches" VALUES('犬','ann','Befriends','dog',5,'ann','dog',1,'added',5,1);
INSERT INTO "touches" VALUES('犬','dog','Desires','bones',2,'dog','bones',1,'removed',2,0);
INSERT INTO "touches" VALUES('犬','dog','Desires','bones',4,'dog','bones',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('犬','dog','Desires','carrots',1,'dog','carrots',1,'added',1,0);
INSERT INTO "touches" VALUES('犬','dog','Desires','carrots',3,'dog','carrots',0,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('犬','dog','Desires','carrots',5,'dog','carrots',1,'added',5,0);
INSERT INTO "touches" VALUES('犬','dog','Desires','meat',3,'dog','meat',1,'removed',3,1);
INSERT INTO "touches" VALUES('犬','dog','Desires','tofu — ☕',3,'dog','tofu — ☕',1,'added',3,0);
INSERT INTO "touches" VALUES('犬','hot','Antonym','icy',2,'hot','icy',1,'added',2,1);
INSERT INTO "touches" VALUES('犬','hot','Antonym','icy',4,'hot','icy',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('犬','o''hara','Desires','rhubarb',2,'O’Hara','rhubarb',1,'added',2,2);
INSERT INTO "touches" VALUES('犬','o''hara','Desires','rhubarb',4,'O’Hara','rhubarb',1,NULL,NULL,NULL);
INSERT INTO "touches" VALUES('犬','zoë','is named','zo "z" ë',1,'Zoë','Zo "Z" ë',1,'added',1,1);
CREATE TABLE users (user TEXT PRIMARY KEY, overlay_id TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "users" VALUES('ann','83e0b5fe76dbcc5311958df92996d8b9',5);
INSERT INTO "users" VALUES('cy','d1dd7e0d6f598d63c94e3161bfb46d9f',2);
INSERT INTO "users" VALUES('犬','03a106e9f94f896ba847ed520af09191',5);
CREATE UNIQUE INDEX edits_by_id ON edits (user, id);
CREATE UNIQUE INDEX edits_by_request ON edits (user, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX edits_by_reverted ON edits (user, reverts) WHERE reverts IS NOT NULL;
CREATE INDEX touches_by_tail ON touches (user, tail, relation, head, revision);
CREATE INDEX overlay_by_age
  ON overlay (user, stamp_revision DESC, stamp_position DESC, head DESC, relation DESC, tail DESC);
CREATE INDEX overlay_at_head
  ON overlay (user, head, stamp_revision DESC, stamp_position DESC, relation DESC, tail DESC);
CREATE INDEX overlay_at_tail
  ON overlay (user, tail, stamp_revision DESC, stamp_position DESC, relation DESC, head DESC);
CREATE INDEX touches_by_age
  ON touches (user, stamp_revision DESC, stamp_position DESC, head DESC, relation DESC, tail DESC)
  WHERE origin IS NOT NULL;
CREATE UNIQUE INDEX responses_by_age ON responses (user, number);
COMMIT;
