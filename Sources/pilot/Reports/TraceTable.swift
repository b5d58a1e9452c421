import Foundation
import ShardedRuntime

/// A trace as lines for a person.
struct TraceTable {
    private let file: TraceFile
    private let figures: TraceFigures

    init(_ file: TraceFile) {
        self.file = file
        figures = TraceFigures(file)
    }

    var text: String {
        let classes = TraceClass.allCases.filter { kind in figures.ranks.contains { $0.classSeconds[kind] != nil } }
        let table = TextTable(
            header: ["rank", "busy", "comm", "wait", "tasks"] + classes.map(\.rawValue) + ["sent"],
            rows: figures.ranks.enumerated().map { number, rank in
                [
                    "\(number)", share(rank.busySeconds), share(rank.communicatingSeconds), share(rank.waitingSeconds),
                    "\(rank.taskCount)",
                ] + classes.map { String(format: "%.2f s", rank.classSeconds[$0] ?? 0) } + [
                    String(format: "%.1f MB", file.sentBytes[number] / 1e6)
                ]
            }, words: [])
        return [heading, table.text].joined(separator: "\n")
    }

    private var heading: String {
        let busy = figures.ranks.reduce(0) { $0 + $1.busySeconds } / Double(max(figures.ranks.count, 1))
        var text = String(format: "%@: %.3f s, ", file.layout, figures.seconds)
        text += Console.count(file.arrows.count, "message")
        text += ", busy \(share(busy)) of the time on average"
        if file.dropped > 0 {
            text += "; \(Console.count(file.dropped, "event")) found no place when the trace was taken, the last ones"
        }
        return text
    }

    private func share(_ seconds: Double) -> String { String(format: "%.1f %%", 100 * figures.share(seconds)) }
}
