// net/http and encoding/json with 64 goroutines, as a Go team would write it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

const inFlight = 64

type result struct {
	AllParticipants participant `json:"allParticipants"`
	ParticipantOne  participant `json:"participantOne"`
	ParticipantTwo  participant `json:"participantTwo"`
}

type participant struct {
	EnlightenBundles []struct {
		Name   string  `json:"name"`
		Models []model `json:"models"`
	} `json:"enlightenBundles"`
	VoiceActivitySegments []segment `json:"voiceActivitySegments"`
}

type model struct {
	Name           string  `json:"name"`
	Score          float64 `json:"score"`
	MinScore       float64 `json:"minScore"`
	MinScoreOffset int64   `json:"minScoreOffset"`
	MaxScore       float64 `json:"maxScore"`
	MaxScoreOffset int64   `json:"maxScoreOffset"`
	Quartile1      float64 `json:"quartile1"`
	Quartile2      float64 `json:"quartile2"`
	Quartile3      float64 `json:"quartile3"`
	Quartile4      float64 `json:"quartile4"`
}

type segment struct {
	StartTimeOffset int64  `json:"startTimeOffset"`
	EndTimeOffset   int64  `json:"endTimeOffset"`
	Result          string `json:"result"`
}

type record struct {
	InteractionID   string            `json:"interaction_id"`
	AllParticipants participantRecord `json:"all_participants"`
	ParticipantOne  participantRecord `json:"participant_one"`
	ParticipantTwo  participantRecord `json:"participant_two"`
}

type participantRecord struct {
	EnlightenBundles      []bundleRecord  `json:"enlighten_bundles"`
	VoiceActivitySegments []segmentRecord `json:"voice_activity_segments"`
}

type bundleRecord struct {
	Name   string        `json:"name"`
	Models []modelRecord `json:"models"`
}

type modelRecord struct {
	Name           string  `json:"name"`
	Score          float64 `json:"score"`
	MinScore       float64 `json:"min_score"`
	MinScoreOffset int64   `json:"min_score_offset"`
	MaxScore       float64 `json:"max_score"`
	MaxScoreOffset int64   `json:"max_score_offset"`
	Quartile1      float64 `json:"quartile1"`
	Quartile2      float64 `json:"quartile2"`
	Quartile3      float64 `json:"quartile3"`
	Quartile4      float64 `json:"quartile4"`
}

type segmentRecord struct {
	StartTimeOffset int64  `json:"start_time_offset"`
	EndTimeOffset   int64  `json:"end_time_offset"`
	Result          string `json:"result"`
}

func normalized(p participant) participantRecord {
	r := participantRecord{EnlightenBundles: make([]bundleRecord, 0, len(p.EnlightenBundles))}
	for _, b := range p.EnlightenBundles {
		models := make([]modelRecord, 0, len(b.Models))
		for _, m := range b.Models {
			models = append(models, modelRecord(m))
		}
		r.EnlightenBundles = append(r.EnlightenBundles, bundleRecord{b.Name, models})
	}
	if p.VoiceActivitySegments != nil {
		r.VoiceActivitySegments = make([]segmentRecord, 0, len(p.VoiceActivitySegments))
	}
	for _, s := range p.VoiceActivitySegments {
		r.VoiceActivitySegments = append(r.VoiceActivitySegments, segmentRecord(s))
	}
	return r
}

func line(client *http.Client, baseURL, token, id string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, baseURL+"/v1/interactions/"+id+"/ai", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-API-Token", token)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", id, response.Status)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var got result
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, err
	}
	return json.Marshal(record{
		InteractionID:   id,
		AllParticipants: normalized(got.AllParticipants),
		ParticipantOne:  normalized(got.ParticipantOne),
		ParticipantTwo:  normalized(got.ParticipantTwo),
	})
}

func main() {
	source, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	target, err := os.Create(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(target)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}

	ids := make(chan string)
	var writing sync.Mutex
	var workers sync.WaitGroup
	for n := 0; n < inFlight; n++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for id := range ids {
				text, err := line(client, os.Args[2], os.Getenv("CXAI_API_TOKEN"), id)
				if err != nil {
					log.Fatal(err)
				}
				writing.Lock()
				out.Write(text)
				out.WriteByte('\n')
				writing.Unlock()
			}
		}()
	}
	for lines := bufio.NewScanner(source); lines.Scan(); {
		ids <- lines.Text()
	}
	close(ids)
	workers.Wait()
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := target.Close(); err != nil {
		log.Fatal(err)
	}
}
