CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, reference_number TEXT NOT NULL UNIQUE, version TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'placing', body BLOB NOT NULL, courier_partner INTEGER NOT NULL,
    account_code TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 1,
    polls INTEGER NOT NULL DEFAULT 0, waybill TEXT, label TEXT
);
CREATE INDEX IF NOT EXISTS orders_by_waybill ON orders (waybill, courier_partner);
CREATE INDEX IF NOT EXISTS orders_by_state ON orders (state);

CREATE TABLE IF NOT EXISTS labels (
    id INTEGER PRIMARY KEY, reference_number TEXT NOT NULL, waybill TEXT NOT NULL,
    bought_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS labels_by_reference ON labels (reference_number);

CREATE TABLE IF NOT EXISTS parcels (
    id INTEGER PRIMARY KEY, waybill TEXT NOT NULL, courier_partner INTEGER NOT NULL,
    account_code TEXT NOT NULL, reference_number TEXT NOT NULL,
    tracking_id INTEGER NOT NULL DEFAULT 0, security_key TEXT NOT NULL, kind TEXT NOT NULL,
    ordered INTEGER NOT NULL, order_type TEXT NOT NULL, cod_value REAL NOT NULL,
    details TEXT NOT NULL, created_at REAL NOT NULL, code INTEGER NOT NULL DEFAULT 0,
    upcoming INTEGER, scanned_at REAL NOT NULL DEFAULT 0, last_scan INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0, whatsapp INTEGER NOT NULL DEFAULT 1,
    UNIQUE (waybill, courier_partner)
);
CREATE INDEX IF NOT EXISTS parcels_by_last_scan ON parcels (scanned_at, last_scan);
CREATE INDEX IF NOT EXISTS parcels_by_reference ON parcels (reference_number);
CREATE INDEX IF NOT EXISTS parcels_by_next_scan ON parcels (scanned_at) WHERE upcoming IS NOT NULL;

CREATE TABLE IF NOT EXISTS scans (
    id INTEGER PRIMARY KEY, parcel INTEGER NOT NULL, code INTEGER NOT NULL, ndr_code INTEGER,
    remark TEXT NOT NULL, moment REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS scans_of_parcel ON scans (parcel);

CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, about TEXT NOT NULL, moment REAL NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_by_time ON notes (kind, moment);
CREATE INDEX IF NOT EXISTS notes_by_subject ON notes (kind, about);

CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, operation TEXT NOT NULL, reference_number TEXT NOT NULL,
    about TEXT NOT NULL, attempt INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, body BLOB NOT NULL, payload_hash TEXT NOT NULL, status INTEGER,
    http_status INTEGER NOT NULL, code INTEGER NOT NULL, response BLOB NOT NULL, fault TEXT,
    moment REAL NOT NULL, seconds REAL NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_by_subject ON calls (operation, about, attempt);
CREATE INDEX IF NOT EXISTS calls_by_moment ON calls (moment);
CREATE INDEX IF NOT EXISTS calls_with_fault ON calls (fault) WHERE fault IS NOT NULL;
