// net/http and encoding/json, as a Go team would write it.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

type participant struct {
	Bundles []struct {
		Name   string `json:"name"`
		Models []struct {
			sameNames
			MinScore       float64 `json:"minScore"`
			MinScoreOffset int64   `json:"minScoreOffset"`
			MaxScore       float64 `json:"maxScore"`
			MaxScoreOffset int64   `json:"maxScoreOffset"`
		} `json:"models"`
	} `json:"enlightenBundles"`
	Segments []struct {
		StartTimeOffset int64  `json:"startTimeOffset"`
		EndTimeOffset   int64  `json:"endTimeOffset"`
		Result          string `json:"result"`
	} `json:"voiceActivitySegments"`
}

type sameNames struct {
	Name      string  `json:"name"`
	Score     float64 `json:"score"`
	Quartile1 float64 `json:"quartile1"`
	Quartile2 float64 `json:"quartile2"`
	Quartile3 float64 `json:"quartile3"`
	Quartile4 float64 `json:"quartile4"`
}

// The same fields as a participant under other names: so Go converts one into the other.
type participantRecord struct {
	Bundles []struct {
		Name   string `json:"name"`
		Models []struct {
			sameNames
			MinScore       float64 `json:"min_score"`
			MinScoreOffset int64   `json:"min_score_offset"`
			MaxScore       float64 `json:"max_score"`
			MaxScoreOffset int64   `json:"max_score_offset"`
		} `json:"models"`
	} `json:"enlighten_bundles"`
	Segments []struct {
		StartTimeOffset int64  `json:"start_time_offset"`
		EndTimeOffset   int64  `json:"end_time_offset"`
		Result          string `json:"result"`
	} `json:"voice_activity_segments"`
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func get(client *http.Client, baseURL, id string) map[string]any {
	request, err := http.NewRequest(http.MethodGet, baseURL+"/v1/interactions/"+id+"/ai", nil)
	check(err)
	request.Header.Set("X-API-Token", os.Getenv("CXAI_API_TOKEN"))
	response, err := client.Do(request)
	check(err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		log.Fatal(id, response.Status)
	}
	body, err := io.ReadAll(response.Body)
	check(err)
	var got map[string]participant
	check(json.Unmarshal(body, &got))
	return map[string]any{
		"interaction_id":   id,
		"all_participants": participantRecord(got["allParticipants"]),
		"participant_one":  participantRecord(got["participantOne"]),
		"participant_two":  participantRecord(got["participantTwo"]),
	}
}

func main() {
	source, err := os.ReadFile(os.Args[1])
	check(err)
	target, err := os.Create(os.Args[3])
	check(err)
	inFlight, err := strconv.Atoi(os.Getenv("IN_FLIGHT"))
	check(err)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}

	ids := make(chan string)
	var workers sync.WaitGroup
	workers.Add(inFlight)
	for n := 0; n < inFlight; n++ {
		go func() {
			defer workers.Done()
			for id := range ids {
				check(json.NewEncoder(target).Encode(get(client, os.Args[2], id))) // in one write
			}
		}()
	}
	for _, id := range strings.Fields(string(source)) {
		ids <- id
	}
	close(ids)
	workers.Wait()
	check(target.Close())
}
