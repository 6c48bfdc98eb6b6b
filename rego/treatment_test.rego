package caregate.treatment_test

import data.caregate.treatment

found_in(changes) := object.union(
	{"direction": "request", "route": "desk", "mark": "", "findings": [], "actor": {"kind": "key", "roles": ["agent"]}},
	changes,
)

# One finding of a class at a place.
one(direction, class, place) := found_in({"direction": direction, "findings": [{"class": class, "place": place, "count": 1}]})

action_for(found, class, place) := got if {
	actions := treatment.actions with input as found
	places := treatment.places with input as found
	got := object.get(places, [place, class], actions[class])
}

blocks(found) if {
	treatment.blocked with input as found
} else := false

# direction, class, place, action
table := {
	"a card in text": ["request", "credit_card", "text", "mask"],
	"a code in text": ["request", "card_verification_code", "text", "drop"],
	"a PIN in text": ["request", "card_pin", "text", "drop"],
	"a track in text": ["request", "card_track_data", "text", "drop"],
	"an SSN in text": ["response", "us_ssn", "text", "mask"],
	"an ITIN in text": ["response", "us_itin", "text", "mask"],
	"a payment field": ["request", "payment_reference", "text", "tokenize"],
	"an IBAN in text": ["request", "iban", "text", "report"],
	"an e-mail address": ["request", "email", "text", "allow"],
	"a class nobody knows": ["request", "unheard_of", "text", "block"],
	"a card as number sent": ["request", "credit_card", "number", "block"],
	"a card as number answered": ["response", "credit_card", "number", "mask"],
	"a card as key sent": ["request", "credit_card", "key", "block"],
	"a card as key answered": ["response", "credit_card", "key", "block"],
	"a card in a path": ["request", "credit_card", "path", "block"],
	"a card in a query": ["request", "credit_card", "query", "mask"],
	"a code in a query": ["request", "card_verification_code", "query", "mask"],
	"a payment field in a query": ["request", "payment_reference", "query", "mask"],
	"a card in a header": ["request", "credit_card", "header", "mask"],
	"a card at a place never rewritten": ["request", "credit_card", "never", "report"],
	"a card with words at a place never rewritten": ["request", "credit_card", "never_strong", "block"],
	"the same in an answer": ["response", "credit_card", "never_strong", "block"],
	"an IBAN in a path": ["request", "iban", "path", "report"],
	"an e-mail address in a query": ["request", "email", "query", "allow"],
	"an unknown class in a path": ["request", "unheard_of", "path", "block"],
}

test_table if {
	failing := {name | some name, row in table; not passes(row)}
	failing == set()
}

passes(row) if {
	found := one(row[0], row[1], row[2])
	action_for(found, row[1], row[2]) == row[3]
	blocking := row[3] == "block"
	blocks(found) == blocking
}

test_actions_for_found_classes_only if {
	treatment.actions == {"us_ssn": "mask", "email": "allow"} with input as found_in({"findings": [
		{"class": "us_ssn", "place": "text", "count": 2},
		{"class": "email", "place": "query", "count": 1},
	]})
}

test_places_stand_beside_text if {
	found := found_in({"findings": [
		{"class": "payment_reference", "place": "text", "count": 1},
		{"class": "payment_reference", "place": "query", "count": 1},
	]})
	treatment.actions.payment_reference == "tokenize" with input as found
	treatment.places == {"query": {"payment_reference": "mask"}} with input as found
}

test_a_mentioned_reference_is_reported if {
	found := found_in({"findings": [
		{"class": "payment_reference", "place": "text", "count": 1},
		{"class": "payment_reference", "place": "mention", "count": 1},
	]})
	treatment.places == {"mention": {"payment_reference": "report"}} with input as found
	treatment.places == {} with input as found
		with data.enforcement as {"payment_reference": {"*": {"*": "mask"}}}
	treatment.blocked with input as found
		with data.enforcement as {"payment_reference": {"*": {"*": "block"}}}
}

test_credentials_pass_where_they_belong if {
	found := found_in({"mark": "auth", "findings": [
		{"class": "password", "place": "text", "count": 1},
		{"class": "credit_card", "place": "text", "count": 1},
	]})
	treatment.actions == {"password": "allow", "credit_card": "mask"} with input as found
		with data.enforcement as {"password": {"*": {"*": "drop"}}}
}

enforced(enforcement, changes) := action if {
	action := treatment.actions.iban with data.enforcement as enforcement
		with input as object.union(one("request", "iban", "text"), changes)
}

rows := {
	"iban": {
		"*": {"*": "mask", "lead": "drop"},
		"desk": {"agent": "tokenize", "dpo": "report"},
	},
	"*": {"shop": {"*": "block"}},
}

test_the_best_row_wins if {
	# route and role by name
	enforced(rows, {}) == "tokenize"

	# of two roles the stricter
	enforced(rows, {"actor": {"roles": ["dpo", "agent"]}}) == "tokenize"
	enforced(rows, {"actor": {"roles": ["dpo"]}}) == "report"

	# no row for the role on this route: the row for all routes
	enforced(rows, {"actor": {"roles": ["lead"]}}) == "drop"
	enforced(rows, {"actor": {"roles": ["service"]}}) == "mask"
	enforced(rows, {"route": "other"}) == "mask"

	# the class by name goes before all classes
	enforced(rows, {"route": "shop"}) == "mask"
	enforced({"*": {"shop": {"*": "block"}}}, {"route": "shop"}) == "block"
	enforced({"*": {"shop": {"*": "block"}}}, {}) == "report"
	enforced({}, {}) == "report"
}

test_a_loosened_class_is_not_blocked if {
	found := one("request", "credit_card", "path")
	treatment.actions == {"credit_card": "report"} with input as found
		with data.enforcement as {"credit_card": {"desk": {"*": "report"}}}
	not treatment.blocked with input as found
		with data.enforcement as {"credit_card": {"desk": {"*": "report"}}}
}

test_a_blocked_class_is_only_counted_where_unsure if {
	found := one("request", "iban", "never")
	treatment.places == {"never": {"iban": "report"}} with input as found
		with data.enforcement as {"iban": {"*": {"*": "block"}}}
	not treatment.blocked with input as found
		with data.enforcement as {"iban": {"*": {"*": "block"}}}
}

# Every class has an action that exists, and every place has one in both directions.
test_tables_are_whole if {
	every action in data.treatment.classes {
		data.treatment.rank[action] >= 0
	}
	every direction in ["request", "response"] {
		object.keys(data.treatment.places[direction]) == {"number", "key", "query", "path", "header", "never", "never_strong"}
	}
}

undone(enforcement, lives, changes) := undo if {
	undo := treatment.undo with data.enforcement as enforcement
		with data.undo as lives
		with input as object.union(one("request", "iban", "text"), changes)
}

undo_rows := {
	"iban": {"*": {"*": "mask", "lead": "mask", "dpo": "drop"}, "desk": {"agent": "mask"}, "shop": {"*": "mask"}},
	"*": {"*": {"*": "mask"}, "shop": {"agent": "mask"}},
}

undo_lives := {
	"iban": {"*": {"*": 300, "lead": 600, "dpo": 0}, "desk": {"agent": 3600}, "shop": {"*": 0}},
	"*": {"*": {"*": 120}, "shop": {"agent": 240}},
}

test_a_mask_is_undone_by_the_row_that_masks if {
	undone(undo_rows, undo_lives, {}) == {"iban": 3600}
	undone(undo_rows, undo_lives, {"route": "other"}) == {"iban": 300}
	undone(undo_rows, undo_lives, {"route": "other", "actor": {"roles": ["lead"]}}) == {"iban": 600}

	# a row that says nothing of it
	undone(undo_rows, undo_lives, {"route": "shop"}) == {}

	# a stricter role
	undone(undo_rows, undo_lives, {"route": "other", "actor": {"roles": ["lead", "dpo"]}}) == {}

	# an answer, whose original is where it came from
	undone(undo_rows, undo_lives, {"direction": "response"}) == {}

	# rows for all classes
	undone({"*": undo_rows["*"]}, {"*": undo_lives["*"]}, {}) == {"iban": 120}
	undone({"*": undo_rows["*"]}, {"*": undo_lives["*"]}, {"route": "shop"}) == {"iban": 240}
}

test_of_several_roles_the_shortest_counts if {
	rows_for := {"iban": {"*": {"lead": "mask", "agent": "mask", "dpo": "report"}}}
	undone(rows_for, {"iban": {"*": {"lead": 600, "agent": 60, "dpo": 0}}}, {"actor": {"roles": ["lead", "agent", "dpo"]}}) == {"iban": 60}
	undone(rows_for, {"iban": {"*": {"lead": 600, "agent": 0, "dpo": 0}}}, {"actor": {"roles": ["lead", "agent"]}}) == {}
}

test_what_is_masked_out_of_the_box_is_for_good if {
	treatment.undo == {} with input as one("request", "credit_card", "text")
		with data.enforcement as {}
		with data.undo as {}
}
