import Foundation
import TestSupport
import Testing

/// Pictures that other replicas than rank 0's make: what is written and told of them.
@Suite(.serialized) struct ReplicaTests {
    /// Three pictures, on one rank and on three replicas of two: the previews of all steps.
    @Test func previewsAreTheSame() async throws {
        let runner = try PilotRunner()
        var previews: [[String: Data]] = []
        for (ranks, layout) in [(1, "auto"), (6, "replicas=3,branches=2")] {
            let folder = "previews-\(ranks)"
            let result = try await runner.inpaint(
                runner.job + [
                    "--count", "3", "--layout", layout, "--preview", runner.path(folder), "--output",
                    runner.path("\(ranks).png"),
                ], ranks: ranks)
            try #require(result.exitCode == 0, "\(result.errors)")
            let names = runner.files().filter { $0.hasPrefix(folder + "/") }
            previews.append(
                Dictionary(
                    uniqueKeysWithValues: try names.map {
                        (String($0.dropFirst(folder.count)), try runner.contents($0))
                    }))
        }
        #expect(previews[0].count == 3 && previews[0] == previews[1])
    }

    /// The losses of a batch's lines, to the last digit; and a job whose numbers become infinite fails alone, with the same
    /// words and exit code wherever it is made.
    @Test func lossesAndFailuresAreTheSame() async throws {
        let runner = try PilotRunner()
        let lines = (0..<7).map { number in
            #"{"output": "\#(number).png", "seed": \#(number), "prompt": "fox""#
                + (number % 3 == 2 ? #", "learning_rate": 1e300, "warmup_learning_rate": 1e300}"# : "}")
        }
        try runner.write(lines.joined(separator: "\n"), to: "jobs.jsonl")
        var told: [[String]] = []
        for (ranks, layout) in [(1, "auto"), (3, "replicas=3")] {
            let result = try await runner.run(
                [
                    "batch", runner.path("jobs.jsonl"), "--output", runner.path("out-\(ranks)"), "--model",
                    "\(PilotRunner.models)/sd1", "--image", runner.path("image.png"), "--mask",
                    runner.path("mask.png"), "--steps", "4", "--gradient-steps", "2", "--coherence", "1",
                    "--optimize-every", "1", "--threads", "1", "--layout", layout, "--json", "--keep-going",
                ], ranks: ranks)
            #expect(result.exitCode == 70, "\(result.errors)")
            told.append(
                try result.output.split(separator: "\n").map { line in
                    var object = try #require(
                        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                    object["seconds"] = nil
                    object["layout"] = nil
                    let data = try JSONSerialization.data(withJSONObject: object, options: .sortedKeys)
                    return String(decoding: data, as: UTF8.self)
                }.sorted())
        }
        #expect(told[0].count == 7 && told[0] == told[1])
        #expect(told[0].count { $0.contains("became NaN or infinite") } == 2)
        #expect(told[0].count { $0.contains("\"loss\"") } == 5)
    }
}
