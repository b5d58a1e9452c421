import Foundation

/// A plan as lines for a person.
struct PlanReport {
    let figures: PlanFigures

    init(_ figures: PlanFigures) { self.figures = figures }

    var text: String {
        ([heading] + (figures.note.map { ["note: \($0)"] } ?? []) + [stages, nodes, traffic, speed, alternatives])
            .joined(separator: "\n\n")
    }

    private var heading: String {
        let machines =
            "\(Console.count(figures.nodes, "machine")) of \(figures.memoryPerNode.map(bytes) ?? "unknown memory")"
        return """
            \(figures.model) at \(figures.width)x\(figures.height), \(figures.elementType); \
            \(Console.count(figures.ranks, "rank")) of \(Console.count(figures.threads, "thread")) on \(machines); \
            \(Console.count(figures.jobs, "picture"))
            layout: \(figures.layout), \(Console.count(figures.ranksInUse, "rank")) in use, \
            \(Console.count(figures.jobsInFlight, "job")) in flight in each replica
            speeds: \(figures.calibration)\(figures.isMeasured ? "" : "; not of this model at this size")
            """
    }

    private var stages: String {
        "Stages; memory in flight included, weights once for all ranks of a machine that share them\n"
            + table(
                [
                    "rungs", "ranks", "parameters", "weights", "a pass keeps", "passes", "own", "a rank", "GFLOP",
                    "gradient", "s", "gradient s", "down", "up", "busy",
                ],
                figures.stages.map { stage in
                    [
                        "\(stage.rungs[0])-\(stage.rungs[1])\(stage.hasPictures ? "*" : "")", "\(stage.ranks)",
                        String(format: "%.1f M", Double(stage.parameters) / 1e6), bytes(stage.weightBytes),
                        bytes(stage.keptBytesOfPass), "\(stage.passesInFlight)", bytes(stage.ownBytes),
                        bytes(stage.rankBytes), short(stage.forward), short(stage.gradient),
                        short(stage.forwardSeconds), short(stage.gradientSeconds), bytes(stage.messageBytesDown),
                        bytes(stage.messageBytesUp), percent(stage.utilisation),
                    ]
                })
            + "\n  * encodes and decodes pictures too: \(short(figures.encodeGflop)) and \(short(figures.decodeGflop)) GFLOP"
    }

    /// Machines that need the same are told once.
    private var nodes: String {
        var groups: [(first: Int, count: Int, node: PlanFigures.Node)] = []
        for (index, node) in figures.nodeMemory.enumerated() {
            if let last = groups.last, last.node.bytes == node.bytes, last.node.ranks == node.ranks {
                groups[groups.count - 1].count += 1
            } else {
                groups.append((index, 1, node))
            }
        }
        let shown = groups.prefix(Self.mostNodes).map { group in
            let last = group.first + group.count - 1
            return [
                group.count == 1 ? "\(group.first)" : "\(group.first)-\(last)", "\(group.node.ranks)",
                bytes(group.node.bytes),
            ]
        }
        let rest = groups.count > Self.mostNodes ? "\n  and \(groups.count - Self.mostNodes) more groups" : ""
        return "Machines\n" + table(["machine", "ranks", "memory"], Array(shown)) + rest
    }

    private static let mostNodes = 8

    /// Ranks that send the same are told once.
    private var traffic: String {
        let sent = zip(figures.sentBytesOfStep, figures.sentBytesOfGradientStep).map { ($0, $1) }
        var groups: [(first: Int, count: Int)] = []
        for rank in sent.indices {
            if let last = groups.last, sent[last.first] == sent[rank] {
                groups[groups.count - 1].count += 1
            } else {
                groups.append((rank, 1))
            }
        }
        let shown = groups.prefix(Self.mostNodes).map { group in
            [
                group.count == 1 ? "\(group.first)" : "\(group.first)-\(group.first + group.count - 1)",
                bytes(sent[group.first].0), bytes(sent[group.first].1),
            ]
        }
        let rest = groups.count > Self.mostNodes ? "\n  and \(groups.count - Self.mostNodes) more groups" : ""
        return "Sent by each rank of a replica, both branches together\n"
            + table(["rank", "a step", "a gradient step"], Array(shown)) + rest
    }

    private var speed: String {
        let left =
            figures.roundsLeftOut > 1
            ? String(format: ", each with %.1f times fewer steps", figures.roundsLeftOut) : ""
        return """
            Predicted, by simulating \(Console.count(figures.simulatedJobs, "job")) of a replica\(left)
              a step, of one picture alone           \(short(figures.stepSeconds)) s
              a gradient step                        \(short(figures.gradientStepSeconds)) s
              one picture alone                      \(short(figures.pictureSeconds)) s
              \(padded(figures.jobs == 1 ? "the picture" : "all \(figures.jobs) pictures"))\(short(figures.seconds)) s
              pictures an hour, all replicas         \(short(figures.picturesPerHour))
            limited by \(figures.limit)
            """
    }

    private func padded(_ text: String) -> String {
        text + String(repeating: " ", count: max(1, 39 - text.count))
    }

    private var alternatives: String {
        "Layouts compared\n"
            + table(
                ["layout", "ranks", "jobs in flight", "a machine", "a picture", "pictures/h"],
                figures.alternatives.map { other in
                    [
                        other.layout, "\(other.ranks)", "\(other.jobsInFlight)", bytes(other.nodeBytes),
                        "\(short(other.pictureSeconds)) s", short(other.picturesPerHour),
                    ]
                })
    }

    /// The first column has words.
    private func table(_ header: [String], _ rows: [[String]]) -> String {
        TextTable(header: header, rows: rows, words: Set(header.prefix(1))).text
    }

    private func short(_ number: Double) -> String {
        String(format: number < 10 ? "%.3g" : "%.0f", number)
    }

    private func percent(_ share: Double) -> String { String(format: "%.0f %%", 100 * share) }

    private func bytes(_ count: Int) -> String {
        switch count {
        case ..<1_000_000: String(format: "%.0f kB", Double(count) / 1e3)
        case ..<1_000_000_000: String(format: "%.1f MB", Double(count) / 1e6)
        default: String(format: "%.2f GB", Double(count) / 1e9)
        }
    }
}
