package spoken

var french = Language{
	Name:   "French",
	Digits: [10]string{"zéro|zero", "un|une", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"},
	Teens: [10]string{"dix", "onze", "douze", "treize", "quatorze", "quinze", "seize",
		"dix sept|dixsept", "dix huit|dixhuit", "dix neuf|dixneuf"},
	Tens: [10]string{"", "", "vingt", "trente", "quarante", "cinquante", "soixante", "septante", "quatre vingt|quatre vingts|huitante|octante", "nonante"},
	// "Soixante et onze" is 71, "vingt et un" 21.
	Compounds: []string{"{t} {u}", "{t} et {u}"},
	Borrowed:  map[int]int{7: 6, 9: 8},
	Hundreds:  map[string]int{"cent": 1, "cents": 1},
	Thousands: map[string]int{"mille": 1},
	Repeat:    map[string]int{"double": 2, "triple": 3, "quadruple": 4},
	Fillers: "euh|heu|hum|hmm|bah|ben|alors|oui|ouais|ok|okay|donc|puis|ensuite|et|tiret|espace|virgule|point|attendez|voyons|le|la|les|est|sont|c|c'est|numéro|numero|suivants|suivant|allez|" +
		"y|continuez|je|vous|écoute|ecoute|parfait|merci|bien|accord|d|d'accord|voilà|voila|après|apres|maintenant|derniers|premiers|chiffres|moment|très|tres|note|noté|de|s'il|il|plaît|plait|bon|à|a|pause|termine|finit|par|se|commence|avec",
	Corrections: "pardon|non|excusez|rectification|erreur|désolé|desole|désolée",
	Ordinals:    "derniers|dernières|premiers|premières|autres|suivants|ces|les|ligne|partie",
	Counted:     "chiffres|numéros|derniers|premiers|moment|instant|seconde|secondes|minute|minutes|fois|jours|heures|heure|semaines|personnes|euros|ans|messages|parties|morceaux",
	Roles:       "agent|agente|client|cliente|conseiller|conseillère|conseillere|appelant|appelante|opérateur|opératrice",
}
