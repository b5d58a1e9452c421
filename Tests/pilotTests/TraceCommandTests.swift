import Foundation
import TestSupport
import Testing

/// `--trace`, `pilot trace`, and what a job says of its ranks.
@Suite struct TraceCommandTests {
    @Test func aTraceShowsAllRanksAndLeavesThePictureAsItIs() async throws {
        let runner = try PilotRunner()
        let alone = try await runner.inpaint(runner.job + ["--output", runner.path("alone.png")])
        #expect(alone.exitCode == 0, "\(alone.errors)")
        let trace = ["--trace", runner.path("trace.json"), "--layout", "branches=1,stages=3"]
        let three = try await runner.inpaint(runner.job + trace + ["--output", runner.path("three.png")], ranks: 3)
        #expect(three.exitCode == 0, "\(three.errors)")
        #expect(try runner.contents("alone.png") == runner.contents("three.png"))

        let json = try #require(
            try JSONSerialization.jsonObject(with: runner.contents("trace.json")) as? [String: Any])
        let events = try #require(json["traceEvents"] as? [[String: Any]])
        // Two steps of two branches, the first with a gradient, on three stages.
        let tasks = events.filter { $0["cat"] as? String == "compute" }
        func count(_ rank: Int, _ name: String) -> Int {
            tasks.count { $0["pid"] as? Int == rank && $0["name"] as? String == name }
        }
        for rank in 0...1 {
            #expect(count(rank, "down") == count(rank, "up") && count(rank, "down") >= 4)
            #expect(count(rank, "upGradient") == 2 && count(rank, "downGradient") == 2)
        }
        #expect(count(2, "down, up") == count(0, "down"))
        #expect(count(2, "upGradient, downGradient") == 2)
        let argument = try #require(tasks.first { $0["name"] as? String == "up" }?["args"] as? [String: Any])
        #expect(Set(argument.keys) == ["job", "branch", "pass", "leg", "rungs"])
        // Every message between the ranks has its arrow, and none arrives before it left.
        let sent = events.filter { $0["ph"] as? String == "s" }
        let received = events.filter { $0["ph"] as? String == "f" }
        #expect(sent.count == received.count && sent.count >= 24)
        for (start, end) in zip(sent, received) {
            #expect((start["ts"] as? Double ?? 1) < (end["ts"] as? Double ?? 0))
        }

        let table = try await runner.run(["trace", runner.path("trace.json")])
        #expect(table.exitCode == 0, "\(table.errors)")
        #expect(table.output.split(separator: "\n").count == 5, "\(table.output)")
        let drawn = try await runner.run(["trace", runner.path("trace.json"), "--svg", runner.path("trace.svg")])
        #expect(drawn.exitCode == 0 && drawn.output.isEmpty, "\(drawn.errors)")
        #expect(isXML(try runner.contents("trace.svg")))
    }

    @Test func aReportHasTheFiguresOfAllRanks() async throws {
        let runner = try PilotRunner()
        let wanted = ["--layout", "branches=2", "--rank-report", runner.path("ranks.json")]
        let made = try await runner.inpaint(runner.job + wanted + ["--output", runner.path("a.png")], ranks: 2)
        #expect(made.exitCode == 0, "\(made.errors)")
        let json = try #require(
            try JSONSerialization.jsonObject(with: runner.contents("ranks.json")) as? [String: Any])
        let ranks = try #require(json["ranks"] as? [[String: Any]])
        #expect(ranks.map { $0["rank"] as? Int } == [0, 1])
        for rank in ranks {
            let memory = try #require(rank["memory"] as? [String: Any])
            #expect(memory["peak_resident_byte_count"] as? Int ?? 0 > 1_000_000)
            let traffic = try #require(rank["traffic"] as? [String: Any])
            #expect(traffic["sent_bytes"] as? Int ?? 0 > 0)
        }
        let again = try await runner.inpaint(runner.job + wanted + ["--output", runner.path("b.png")], ranks: 2)
        #expect(again.exitCode == 64 && again.errors.contains("ranks.json"))
    }

    private func isXML(_ data: Data) -> Bool {
        let text = String(decoding: data, as: UTF8.self)
        return text.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\"") && text.hasSuffix("</svg>\n")
            && text.components(separatedBy: "<g").count == text.components(separatedBy: "</g>").count
            && text.components(separatedBy: "<rect").count > 20 && text.contains("marker-end")
    }

    @Test func theSummaryHasALineForEachRank() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(
            runner.job + ["--layout", "branches=2", "--output", runner.path("a.png")], ranks: 2)
        let lines = result.output.split(separator: "\n").suffix(4).dropLast()
        #expect(lines.first?.split(separator: " ").first == "rank", "\(result.output)")
        #expect(lines.dropFirst().map { $0.split(separator: " ").first } == ["0", "1"])
        #expect(lines.allSatisfy { $0.count <= 120 })
        for line in lines.dropFirst() {
            let shares = line.matches(of: #/([0-9.]+) %/#).compactMap { Double($0.1) }
            #expect(shares.count == 3 && abs(shares.reduce(0, +) - 100) < 0.2, "\(line)")
        }
    }

    /// More ranks than one reads a line for.
    @Test func manyRanksAreSummedUp() async throws {
        let runner = try PilotRunner()
        let result = try await runner.inpaint(
            runner.job + ["--output", runner.path("a.png"), "--layout", "replicas=5,branches=2", "--count", "5"],
            ranks: 10)
        #expect(result.exitCode == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n").suffix(11).dropLast()
        #expect(lines.first?.hasPrefix("  of 10 ranks") == true, "\(result.output)")
        #expect(lines.allSatisfy { $0.count <= 100 })
    }

    @Test func badRequestsAreRefusedBeforeAnythingIsComputed() async throws {
        let runner = try PilotRunner()
        let output = runner.path("a.png")
        let job = runner.job + ["--output", output]
        let before = runner.files()
        for (arguments, code) in [
            (["--trace", output], 64), (["--trace", runner.path("image.png")], 64),
            (["--trace", runner.path("nowhere/trace.json")], 74), (["--stall-timeout", "0"], 64),
            (["--stall-timeout", "nan"], 64), (["--stall-timeout", "-5"], 64),
        ] as [([String], Int32)] {
            let result = try await runner.inpaint(job + arguments)
            #expect(result.exitCode == code, "\(arguments): \(result.errors)")
            #expect(result.failureLines.count == 1)
        }
        for (arguments, code) in [
            ([runner.path("image.png")], 65), ([runner.path("none.json")], 66),
            ([runner.path("image.png"), "--svg", runner.path("image.png")], 64),
            ([runner.path("image.png"), "--svg", runner.path("nowhere/a.svg")], 74),
        ] as [([String], Int32)] {
            let result = try await runner.run(["trace"] + arguments)
            #expect(result.exitCode == code, "\(arguments): \(result.errors)")
            #expect(result.failureLines.count == 1)
        }
        #expect(runner.files() == before)
    }
}
