# A result with the keys of the worker's records; its file is named by the ID.
def model: {
  name, score,
  min_score: .minScore, min_score_offset: .minScoreOffset,
  max_score: .maxScore, max_score_offset: .maxScoreOffset,
  quartile1, quartile2, quartile3, quartile4
};
def segment: {start_time_offset: .startTimeOffset, end_time_offset: .endTimeOffset, result};
def participant: {
  enlighten_bundles: (.enlightenBundles | map({name, models: (.models | map(model))})),
  voice_activity_segments: (.voiceActivitySegments | if . == null then null else map(segment) end)
};
{
  interaction_id: (input_filename | split("/") | last | rtrimstr(".json")),
  all_participants: (.allParticipants | participant),
  participant_one: (.participantOne | participant),
  participant_two: (.participantTwo | participant)
}
