// One life of several VNodes through the official JavaScript SDK. Input: the emulator's ready line in READY.
// Output: one JSON object that the test compares with what the emulator holds.
const Eci = require("@alicloud/eci20180808");
const OpenApi = require("@alicloud/openapi-client");

const ready = JSON.parse(process.env.READY);

function client(secret) {
  const [protocol, endpoint] = ready.endpoint.split("://");
  return new Eci.default(new OpenApi.Config({
    accessKeyId: ready.access_key_id, accessKeySecret: secret, endpoint, protocol, regionId: ready.region,
  }));
}

async function main() {
  const eci = client(ready.access_key_secret);
  const made = [];
  for (let n = 0; n < 23; n++) {
    const answer = await eci.createVirtualNode(new Eci.CreateVirtualNodeRequest({
      regionId: ready.region, vSwitchId: ready.vswitch_ids.slice(0, 2).join(","),
      securityGroupId: ready.security_group_id, kubeConfig: ready.kubeconfig, tlsBootstrapEnabled: true,
      virtualNodeName: `node-${n}`, clientToken: `token-${n}`, clusterDNS: "10.0.0.10", clusterDomain: "cluster.local",
      tag: [...Array(12).keys()].map((i) => new Eci.CreateVirtualNodeRequestTag({ key: `k ${i}`, value: "a+b/c=~*ü" })),
      taint: [new Eci.CreateVirtualNodeRequestTaint({ key: "k", value: "v", effect: "NoExecute" })],
    }));
    made.push(answer.body.virtualNodeId);
  }
  const listed = [];
  let pages = 0;
  for (let nextToken; ;) {
    const page = (await eci.describeVirtualNodes(new Eci.DescribeVirtualNodesRequest({
      regionId: ready.region, limit: 10, nextToken,
      tag: [new Eci.DescribeVirtualNodesRequestTag({ key: "k 11", value: "a+b/c=~*ü" })],
    }))).body;
    listed.push(...page.virtualNodes.map((node) => node.virtualNodeId));
    pages += 1;
    nextToken = page.nextToken;
    if (!nextToken) break;
  }
  const one = (await eci.describeVirtualNodes(new Eci.DescribeVirtualNodesRequest({
    regionId: ready.region, virtualNodeIds: JSON.stringify([made[3]]),
  }))).body.virtualNodes[0];
  await eci.updateVirtualNode(new Eci.UpdateVirtualNodeRequest({
    regionId: ready.region, virtualNodeId: made[3], virtualNodeName: "renamed",
  }));
  for (const virtualNodeId of made.slice(4)) {
    await eci.deleteVirtualNode(new Eci.DeleteVirtualNodeRequest({ regionId: ready.region, virtualNodeId }));
  }
  const refused = async (act) => { try { await act(); return "ok"; } catch (error) { return error.code; } };
  const region = new Eci.DescribeRegionsRequest({});
  const gone = new Eci.DeleteVirtualNodeRequest({ regionId: ready.region, virtualNodeId: made[5] });
  console.log(JSON.stringify({
    made, listed, pages, name: one.virtualNodeName, status: one.status, vswitch: one.virtualNodeVSwitchId,
    tags: one.tags.length, events: one.events.map((event) => event.reason),
    wrongSecret: await refused(() => client("wrong").describeRegions(region)),
    gone: await refused(() => eci.deleteVirtualNode(gone)),
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
