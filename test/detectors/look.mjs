// Shows texts to detectors that others wrote, and says where each finds something. Driven
// by detectors_test.go: one JSON array of texts a line on standard input, for each a line
// with one list per detector, of {at, from, to, as}: which text, which part of it in
// UTF-16 units, and what it is called.
import { createInterface } from "node:readline";
import { OpenRedaction } from "@openredaction/core";
import { Redactor } from "@redactpii/node";
import { lintSource } from "@secretlint/core";
import { creator } from "@secretlint/secretlint-rule-preset-recommend";

const open = new OpenRedaction();
const fork = new Redactor();
const config = { rules: [{ id: "preset", rule: creator }] };

// The part of a text that is another in what came of it.
function changed(text, after) {
	let from = 0;
	while (from < text.length && text[from] === after[from]) from++;
	let end = 0;
	while (end < text.length - from && text[text.length - 1 - end] === after[after.length - 1 - end]) end++;
	return { from, to: text.length - end, as: "redacted" };
}

// Each takes all texts, and calls hit with what it finds.
const detectors = {
	openredaction: async (texts, hit) => {
		for (const [at, text] of texts.entries()) {
			for (const d of (await open.detect(text)).detections) hit({ at, from: d.position[0], to: d.position[1], as: d.type });
		}
	},
	redactpii: async (texts, hit) => {
		for (const [at, text] of texts.entries()) {
			const after = fork.redact(text);
			if (after !== text) hit({ at, ...changed(text, after) });
		}
	},
	// One file with a line for each, because it keeps times of every file for ever.
	secretlint: async (texts, hit) => {
		const source = { filePath: "tickets.txt", content: texts.join("\n"), contentType: "text" };
		const { messages } = await lintSource({ source, options: { config, noPhysicFilePath: true } });
		for (const m of messages) {
			let at = 0, began = 0;
			while (began + texts[at].length < m.range[0]) began += texts[at++].length + 1;
			hit({ at, from: m.range[0] - began, to: Math.min(m.range[1] - began, texts[at].length), as: m.ruleId });
		}
	},
};

for await (const line of createInterface({ input: process.stdin })) {
	const texts = JSON.parse(line);
	const found = {};
	for (const [name, look] of Object.entries(detectors)) {
		found[name] = [];
		await look(texts, (hit) => found[name].push(hit));
	}
	console.log(JSON.stringify(found));
}
