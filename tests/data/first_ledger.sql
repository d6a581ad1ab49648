-- A ledger as the first version that had one left it, killed in mid-call: one call open, two settled, one voided.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE audit (
	workspace_id TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	object_id TEXT NOT NULL, 
	"before" TEXT, 
	"after" TEXT, 
	previous_hash BLOB NOT NULL, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (workspace_id, number)
);
CREATE TABLE closings (
	workspace_id TEXT NOT NULL, 
	position BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	counters BLOB NOT NULL, 
	PRIMARY KEY (workspace_id, position)
);
INSERT INTO "closings" VALUES('wsp_default',6,1795590000000000,X'789CAB564ACE2FCD2B492D2A56B28A8E56CA4DCD4D4A2D52D20131E21341747E5E6A259086304B3294740CCD2D8D4D2C0D8D0CA040C714449883C8D8581DA5FC82D43CA0514A45A985F160766C2D00F3F81D3D');
CREATE TABLE counters (
	workspace_id TEXT NOT NULL, 
	scope_kind TEXT NOT NULL, 
	scope_id TEXT NOT NULL, 
	metric TEXT NOT NULL, 
	selector TEXT NOT NULL, 
	window TEXT NOT NULL, 
	window_start BIGINT NOT NULL, 
	window_end BIGINT, 
	used BIGINT NOT NULL, 
	held BIGINT NOT NULL, 
	PRIMARY KEY (workspace_id, scope_kind, scope_id, metric, selector, window, window_start)
);
INSERT INTO "counters" VALUES('wsp_default','member','mem_a','money','','month',1793491200000000,1796083200000000,12000,75000);
INSERT INTO "counters" VALUES('wsp_default','member','mem_a','requests','','rolling:60',1795590000000000,1795590061000000,1,0);
CREATE TABLE entries (
	workspace_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	position BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	request_id TEXT, 
	scope_kind TEXT, 
	scope_id TEXT, 
	with_total BOOLEAN, 
	cost BIGINT, 
	input_tokens BIGINT, 
	output_tokens BIGINT, 
	actor TEXT NOT NULL, 
	reason TEXT, 
	PRIMARY KEY (workspace_id, id), 
	UNIQUE (workspace_id, position)
);
CREATE TABLE groups (
	workspace_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	title TEXT DEFAULT '' NOT NULL, 
	zone_changes TEXT NOT NULL, 
	each_limits TEXT DEFAULT '[]' NOT NULL, 
	shared_limits TEXT DEFAULT '[]' NOT NULL, 
	models TEXT, 
	endpoints TEXT, 
	max_output_tokens BIGINT, 
	min_output_tokens BIGINT NOT NULL, 
	patience_s INTEGER NOT NULL, 
	on_disconnect TEXT NOT NULL, 
	unknown_parameters TEXT NOT NULL, 
	show_shared BOOLEAN NOT NULL, 
	state TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (workspace_id, id), 
	UNIQUE (workspace_id, name)
);
INSERT INTO "groups" VALUES('wsp_default','grp_a','grp_a','','[[0,"UTC"]]','[]','[]',NULL,NULL,NULL,1024,20,'drain','refuse',0,'active',0);
CREATE TABLE keys (
	workspace_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	group_id TEXT NOT NULL, 
	member_id TEXT NOT NULL, 
	name TEXT, 
	digest BLOB NOT NULL, 
	previous_digest BLOB, 
	previous_until BIGINT, 
	last4 TEXT NOT NULL, 
	limits TEXT DEFAULT '[]' NOT NULL, 
	models TEXT, 
	endpoints TEXT, 
	max_output_tokens BIGINT, 
	tags TEXT DEFAULT '[]' NOT NULL, 
	expires_at BIGINT, 
	state TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (workspace_id, id), 
	UNIQUE (digest), 
	UNIQUE (previous_digest)
);
CREATE TABLE members (
	workspace_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	group_id TEXT NOT NULL, 
	external_id TEXT NOT NULL, 
	external_id_folded TEXT NOT NULL, 
	name TEXT, 
	email TEXT, 
	limits TEXT DEFAULT '[]' NOT NULL, 
	models TEXT, 
	endpoints TEXT, 
	max_output_tokens BIGINT, 
	state TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (workspace_id, id), 
	UNIQUE (workspace_id, group_id, external_id_folded)
);
CREATE TABLE prices (
	id TEXT NOT NULL, 
	content TEXT NOT NULL, 
	first_used_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE requests (
	workspace_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	position BIGINT NOT NULL, 
	resolved_position BIGINT, 
	admitted_at BIGINT NOT NULL, 
	resolved_at BIGINT, 
	owner TEXT NOT NULL, 
	state TEXT NOT NULL, 
	group_id TEXT NOT NULL, 
	member_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	endpoint_group TEXT NOT NULL, 
	model TEXT NOT NULL, 
	model_aliases TEXT DEFAULT '' NOT NULL, 
	upstream TEXT NOT NULL, 
	upstream_request_id TEXT, 
	price_id TEXT, 
	cap BIGINT, 
	held_cost BIGINT NOT NULL, 
	held_input_tokens BIGINT NOT NULL, 
	held_output_tokens BIGINT NOT NULL, 
	images BIGINT DEFAULT 0 NOT NULL, 
	cost BIGINT, 
	input_tokens BIGINT, 
	output_tokens BIGINT, 
	cached_tokens BIGINT, 
	flags TEXT DEFAULT '' NOT NULL, 
	http_status INTEGER, 
	error TEXT, 
	first_byte_ms INTEGER, 
	duration_ms INTEGER, 
	queue_ms INTEGER, 
	tag TEXT, 
	repeats INTEGER DEFAULT 1 NOT NULL, 
	PRIMARY KEY (workspace_id, id), 
	UNIQUE (workspace_id, position)
);
INSERT INTO "requests" VALUES('wsp_default','req_done',1,4,1795500000000000,1795500000000000,'boot_1','settled','grp_a','mem_a','key_a','chat.completions','chat','gpt-4o-mini','','openai',NULL,'price',100,75000,100,100,0,5000,100,10,0,'',200,NULL,NULL,NULL,0,NULL,1);
INSERT INTO "requests" VALUES('wsp_default','req_void',2,5,1795500000000000,1795500000000000,'boot_1','voided','grp_a','mem_a','key_a','chat.completions','chat','gpt-4o-mini','','openai',NULL,'price',100,75000,100,100,0,0,0,0,0,'',502,NULL,NULL,NULL,0,NULL,1);
INSERT INTO "requests" VALUES('wsp_default','req_open',3,NULL,1795500000000000,NULL,'boot_1','reserved','grp_a','mem_a','key_a','chat.completions','chat','gpt-4o-mini','','openai',NULL,'price',100,75000,100,100,0,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,NULL,0,NULL,1);
INSERT INTO "requests" VALUES('wsp_default','req_next',7,8,1795590000000000,1795590000000000,'boot_1','settled','grp_a','mem_a','key_a','chat.completions','chat','gpt-4o-mini','','openai',NULL,'price',100,75000,100,100,0,7000,90,20,0,'',200,NULL,NULL,NULL,0,NULL,1);
CREATE TABLE settings (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "settings" VALUES('epoch','267df3f94ae158b49503fb7bf8d0fdae');
INSERT INTO "settings" VALUES('clean_stop','1');
INSERT INTO "settings" VALUES('position:wsp_default','65537');
CREATE TABLE usage_buckets (
	workspace_id TEXT NOT NULL, 
	bucket BIGINT NOT NULL, 
	group_id TEXT NOT NULL, 
	member_id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	model TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	requests BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	cached_tokens BIGINT NOT NULL, 
	cost BIGINT NOT NULL, 
	PRIMARY KEY (workspace_id, bucket, group_id, member_id, key_id, model, endpoint)
);
INSERT INTO "usage_buckets" VALUES('wsp_default',1795500000000000,'grp_a','mem_a','key_a','gpt-4o-mini','chat.completions',1,100,10,0,5000);
INSERT INTO "usage_buckets" VALUES('wsp_default',1795590000000000,'grp_a','mem_a','key_a','gpt-4o-mini','chat.completions',1,90,20,0,7000);
CREATE TABLE workspaces (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	zone_changes TEXT NOT NULL, 
	limits TEXT DEFAULT '[]' NOT NULL, 
	models TEXT, 
	endpoints TEXT, 
	max_output_tokens BIGINT, 
	directory_version BIGINT DEFAULT 1 NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "workspaces" VALUES('wsp_default','default','[[0,"UTC"]]','[]',NULL,NULL,NULL,1,0);
CREATE INDEX keys_by_member ON keys (workspace_id, member_id);
CREATE INDEX requests_by_group ON requests (workspace_id, group_id, admitted_at);
CREATE INDEX requests_by_member ON requests (workspace_id, member_id, admitted_at);
CREATE INDEX requests_open ON requests (workspace_id, position) WHERE state = 'reserved';
CREATE INDEX entries_by_request ON entries (workspace_id, request_id);
CREATE INDEX entries_by_scope ON entries (workspace_id, scope_kind, scope_id);
COMMIT;
