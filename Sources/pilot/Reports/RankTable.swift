import Foundation
import MessagePassing
import ShardedRuntime
import TensorKernels

/// What each rank did, as lines for a person: a row for each, or with many ranks how they differ.
///
/// Busy, communicating and waiting are shares of the time since the rank began to serve: it ran a task; its next task's
/// input was on its way from another rank; there was nothing to do.
struct RankTable {
    /// More rows than these nobody reads.
    private static let mostRows = 8

    let reports: [RankReport]

    /// What no rank may hold when its jobs are done; nil when all is well.
    var leftover: String? {
        let holders = reports.filter { $0.keptPullbacks > 0 }.map { "rank \($0.rank) \($0.keptPullbacks)" }
        guard !holders.isEmpty else { return nil }
        return "passes were kept that nobody asks for any more: \(holders.joined(separator: ", "))"
    }

    var text: String { reports.count > Self.mostRows ? extremes : rows }

    private var rows: String {
        TextTable(
            header: ["rank", "host", "forward", "backward", "pictures", "busy", "comm", "wait", "sent", "peak", "PSS"],
            rows: reports.map { report in
                let times = report.times
                return [
                    "\(report.rank)", report.hostName, Self.passes(times.forwardCount, times.forwardSeconds),
                    Self.passes(times.backwardCount, times.backwardSeconds), Self.seconds(times.pictureSeconds),
                    Self.share(busy(report)), Self.share(communicating(report)), Self.share(waiting(report)),
                    Self.bytes(Double(report.traffic.sentBytes)), Self.memory(Double(report.peakMemoryBytes)),
                    report.memory.proportionalByteCount.map { Self.memory(Double($0)) } ?? "?",
                ]
            }, words: ["host"]
        ).text
    }

    private var extremes: String {
        let figures: [(name: String, value: (RankReport) -> Double, text: (Double) -> String)] = [
            ("busy", busy, Self.share), ("communicating", communicating, Self.share), ("waiting", waiting, Self.share),
            ("forward", { $0.times.forwardSeconds }, Self.seconds),
            ("backward", { $0.times.backwardSeconds }, Self.seconds),
            ("pictures", { $0.times.pictureSeconds }, Self.seconds),
            ("bytes sent", { Double($0.traffic.sentBytes) }, Self.bytes),
            ("peak memory", { Double($0.peakMemoryBytes) }, Self.memory),
            ("PSS", { Double($0.memory.proportionalByteCount ?? 0) }, Self.memory),
        ]
        return TextTable(
            header: ["of \(reports.count) ranks", "min", "rank", "avg", "max", "at rank"],
            rows: figures.compactMap { figure in
                let values = reports.map { ($0.rank, figure.value($0)) }
                guard let least = values.min(by: { $0.1 < $1.1 }), let most = values.max(by: { $0.1 < $1.1 }) else {
                    return nil
                }
                let mean = values.reduce(0) { $0 + $1.1 } / Double(values.count)
                return [
                    figure.name, figure.text(least.1), "\(least.0)", figure.text(mean), figure.text(most.1),
                    "\(most.0)",
                ]
            }, words: ["of \(reports.count) ranks"]
        ).text
    }

    private func busy(_ report: RankReport) -> Double { part(report.times.busySeconds, of: report) }
    private func communicating(_ report: RankReport) -> Double { part(report.times.communicatingSeconds, of: report) }
    private func waiting(_ report: RankReport) -> Double { part(report.times.waitingSeconds, of: report) }

    private func part(_ seconds: Double, of report: RankReport) -> Double {
        seconds / max(report.times.elapsedSeconds, 1e-9)
    }

    private static func passes(_ count: Int, _ seconds: Double) -> String { "\(count) in \(self.seconds(seconds))" }
    private static func seconds(_ seconds: Double) -> String { String(format: "%.1f s", seconds) }
    private static func share(_ part: Double) -> String { String(format: "%.1f %%", 100 * part) }
    private static func memory(_ bytes: Double) -> String { String(format: "%.2f GiB", bytes / Double(1 << 30)) }

    private static func bytes(_ count: Double) -> String {
        count < 1e6
            ? String(format: "%.1f kB", count / 1e3)
            : count < 1e9 ? String(format: "%.1f MB", count / 1e6) : String(format: "%.2f GB", count / 1e9)
    }
}
