// fetch and JSON, for Bun or Node, as a JavaScript team would write it.
import { openSync, readFileSync, writeSync } from "node:fs";

const [idsFile, baseUrl, out] = process.argv.slice(2);
const ids = readFileSync(idsFile, "utf8").trim().split("\n").values();
const headers = { "X-API-Token": process.env.CXAI_API_TOKEN };
const file = openSync(out, "w");

const model = (m) => ({
  name: m.name, score: m.score, min_score: m.minScore, max_score: m.maxScore,
  min_score_offset: m.minScoreOffset, max_score_offset: m.maxScoreOffset,
  quartile1: m.quartile1, quartile2: m.quartile2, quartile3: m.quartile3, quartile4: m.quartile4,
});
const segment = (s) => ({
  start_time_offset: s.startTimeOffset, end_time_offset: s.endTimeOffset, result: s.result,
});
const participant = (p) => ({
  enlighten_bundles: p.enlightenBundles.map((b) => ({ name: b.name, models: b.models.map(model) })),
  voice_activity_segments: p.voiceActivitySegments?.map(segment) ?? null,
});

async function some() {
  for (const id of ids) {
    const response = await fetch(`${baseUrl}/v1/interactions/${id}/ai`, { headers });
    if (!response.ok) throw new Error(`${id}: ${response.status}`);
    const result = await response.json();
    writeSync(file, JSON.stringify({
      interaction_id: id,
      all_participants: participant(result.allParticipants),
      participant_one: participant(result.participantOne),
      participant_two: participant(result.participantTwo),
    }) + "\n");
  }
}

await Promise.all(Array.from({ length: Number(process.env.IN_FLIGHT) }, some));
