package spoken

var german = Language{
	Name:      "German",
	Digits:    [10]string{"null", "eins|ein|eine", "zwei|zwo", "drei", "vier", "fünf|fuenf|funf", "sechs", "sieben", "acht", "neun"},
	Teens:     [10]string{"zehn", "elf", "zwölf|zwoelf|zwolf", "dreizehn", "vierzehn", "fünfzehn|fuenfzehn|funfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"},
	Tens:      [10]string{"", "", "zwanzig", "dreißig|dreissig", "vierzig", "fünfzig|fuenfzig|funfzig", "sechzig", "siebzig", "achtzig", "neunzig"},
	Compounds: []string{"{u}und{t}", "{u} und {t}"},
	Inner:     [10]string{1: "ein|eins", 2: "zwei|zwo", 3: "drei", 4: "vier", 5: "fünf|fuenf|funf", 6: "sechs", 7: "sieben", 8: "acht", 9: "neun"},
	Hundreds: map[string]int{
		"hundert": 1, "einhundert": 1, "zweihundert": 2, "dreihundert": 3, "vierhundert": 4, "fünfhundert": 5, "fuenfhundert": 5, "sechshundert": 6, "siebenhundert": 7,
		"achthundert": 8, "neunhundert": 9,
	},
	Thousands: map[string]int{
		"tausend": 1, "eintausend": 1, "zweitausend": 2, "dreitausend": 3, "viertausend": 4, "fünftausend": 5, "fuenftausend": 5, "sechstausend": 6, "siebentausend": 7,
		"achttausend": 8, "neuntausend": 9,
	},
	And:    "und",
	Repeat: map[string]int{"doppel": 2, "zweimal": 2, "doppelte": 2, "dreimal": 3, "dreifach": 3, "viermal": 4, "vierfach": 4},
	Fillers: "äh|ähm|öh|hm|hmm|mhm|also|ja|ok|okay|gut|dann|und|strich|bindestrich|minus|leerzeichen|komma|punkt|moment|bitte|weiter|die|der|das|ist|sind|lautet|nächste|nächsten|jetzt|so|genau|" +
		"richtig|danke|verstanden|mal|sehen|ich|schaue|kurz|letzten|ersten|ziffern|nummer|noch|gerne|warten|sie|es|geht|los|alles|klar|super|prima|kommt|rest|in|habe|pause|endet|mit|hört|auf|fängt|an|beginnt",
	Corrections: "entschuldigung|nein|quatsch|korrektur|falsch|sorry|pardon|moment",
	Ordinals:    "nächste|nächsten|letzte|letzten|erste|ersten|anderen|diese|alle|restlichen|zeile|reihe|teil",
	Counted:     "ziffern|zahlen|stellen|moment|sekunde|sekunden|minute|minuten|mal|tage|tagen|wochen|stunden|personen|euro|uhr|prozent|stück|nachrichten|teilen|teile|schritten|blöcken",
	Roles:       "agent|agentin|kunde|kundin|anrufer|anruferin|berater|beraterin|mitarbeiter|mitarbeiterin|sprecher",
}
