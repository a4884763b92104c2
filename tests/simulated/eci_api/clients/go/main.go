// One life of several VNodes through the official Go SDK's core (classic RPC, HMAC-SHA1), unchanged.
// Input: the emulator's ready line in READY. Output: one JSON object that the test compares with what the emulator holds.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
)

type ready struct {
	Endpoint        string   `json:"endpoint"`
	Region          string   `json:"region"`
	AccessKeyID     string   `json:"access_key_id"`
	AccessKeySecret string   `json:"access_key_secret"`
	VSwitchIDs      []string `json:"vswitch_ids"`
	SecurityGroupID string   `json:"security_group_id"`
	KubeConfig      string   `json:"kubeconfig"`
}

type node struct {
	VirtualNodeId        string
	VirtualNodeName      string
	Status               string
	VirtualNodeVSwitchId string
	Tags                 []struct{ Key, Value string }
	Events               []struct{ Reason string }
}

type answer struct {
	VirtualNodeId string
	NextToken     string
	VirtualNodes  []node
}

type api struct {
	client *sdk.Client
	ready  ready
}

func open(r ready, secret string) api {
	client, err := sdk.NewClientWithAccessKey(r.Region, r.AccessKeyID, secret)
	must(err)
	return api{client, r}
}

func (a api) call(method, action string, inForm bool, parameters map[string]string) (answer, error) {
	request := requests.NewCommonRequest()
	request.Method = method
	scheme, host, _ := strings.Cut(a.ready.Endpoint, "://")
	request.Scheme, request.Domain = scheme, host
	request.Version, request.ApiName = "2018-08-08", action
	parameters["RegionId"] = a.ready.Region
	for name, value := range parameters {
		if inForm {
			request.FormParams[name] = value
		} else {
			request.QueryParams[name] = value
		}
	}
	var found answer
	response, err := a.client.ProcessCommonRequest(request)
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(response.GetHttpContentBytes(), &found)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func code(err error) string {
	if refused, isServer := err.(*sdkerrors.ServerError); isServer {
		return refused.ErrorCode()
	}
	return fmt.Sprint(err)
}

func main() {
	var r ready
	must(json.Unmarshal([]byte(os.Getenv("READY")), &r))
	eci := open(r, r.AccessKeySecret)
	made, listed := []string{}, []string{}
	for n := 0; n < 23; n++ {
		parameters := map[string]string{
			"VSwitchId": strings.Join(r.VSwitchIDs[:2], ","), "SecurityGroupId": r.SecurityGroupID,
			"KubeConfig": r.KubeConfig, "TlsBootstrapEnabled": "true", "VirtualNodeName": fmt.Sprintf("node-%d", n),
			"ClientToken": fmt.Sprintf("token-%d", n), "Taint.1.Key": "k", "Taint.1.Effect": "NoExecute",
		}
		for i := 1; i <= 12; i++ {
			parameters[fmt.Sprintf("Tag.%d.Key", i)] = fmt.Sprintf("k %d", i-1)
			parameters[fmt.Sprintf("Tag.%d.Value", i)] = "a+b/c=~*ü"
		}
		found, err := eci.call("POST", "CreateVirtualNode", n%2 == 0, parameters)
		must(err)
		made = append(made, found.VirtualNodeId)
	}
	pages := 0
	for token := ""; ; {
		parameters := map[string]string{"Limit": "10", "Tag.1.Key": "k 11", "Tag.1.Value": "a+b/c=~*ü"}
		if token != "" {
			parameters["NextToken"] = token
		}
		found, err := eci.call("GET", "DescribeVirtualNodes", false, parameters)
		must(err)
		for _, each := range found.VirtualNodes {
			listed = append(listed, each.VirtualNodeId)
		}
		pages++
		if token = found.NextToken; token == "" {
			break
		}
	}
	found, err := eci.call("POST", "DescribeVirtualNodes", false, map[string]string{"VirtualNodeIds": `["` + made[3] + `"]`})
	must(err)
	one := found.VirtualNodes[0]
	_, err = eci.call("POST", "UpdateVirtualNode", true, map[string]string{"VirtualNodeId": made[3], "VirtualNodeName": "renamed"})
	must(err)
	for _, id := range made[4:] {
		_, err = eci.call("POST", "DeleteVirtualNode", true, map[string]string{"VirtualNodeId": id})
		must(err)
	}
	_, wrong := open(r, "wrong").call("GET", "DescribeRegions", false, map[string]string{})
	_, gone := eci.call("POST", "DeleteVirtualNode", true, map[string]string{"VirtualNodeId": made[5]})
	events := []string{}
	for _, event := range one.Events {
		events = append(events, event.Reason)
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"made": made, "listed": listed, "pages": pages, "name": one.VirtualNodeName, "status": one.Status,
		"vswitch": one.VirtualNodeVSwitchId, "tags": len(one.Tags), "events": events,
		"wrongSecret": code(wrong), "gone": code(gone),
	}))
}
