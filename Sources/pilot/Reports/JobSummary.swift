import Foundation
import InpaintingJobs
import ShardedRuntime

/// What a finished job took: time by phase, rates, memory.
struct JobSummary {
    let ledger: PhaseLedger
    let reports: [RankReport]
    /// How the machine was used, in a few words.
    let layout: String

    var text: String {
        let total = ledger.secondsSinceStart
        let phases = JobPhase.allCases.map { ($0, ledger.entry($0)) }.filter { $0.1.count > 0 }
        // Pictures that are made at once take more seconds together than pass.
        let other = max(0, total - phases.reduce(0) { $0 + $1.1.seconds })
        var lines = phases.map { phase, entry in Self.row(phase.rawValue, entry.seconds, of: total) }
        lines.append(Self.row("other", other, of: total))
        lines.append(Self.row("total", total, of: total))
        lines += rates
        lines.append(Self.ranks(reports))
        return lines.joined(separator: "\n")
    }

    private var rates: [String] {
        var parts: [String] = []
        for (phase, name) in [(JobPhase.denoisingSteps, "denoising step"), (.gradientSteps, "gradient step")] {
            let entry = ledger.entry(phase)
            guard entry.count > 0 else { continue }
            parts.append(String(format: "%.3f s per %@ (%d)", entry.seconds / Double(entry.count), name, entry.count))
        }
        parts.append(layout)
        return [parts.joined(separator: ", ")]
    }

    /// What every rank did, a line each.
    static func ranks(_ reports: [RankReport]) -> String { reports.map(line).joined(separator: "\n") }

    private static func line(_ report: RankReport) -> String {
        let times = report.times
        return String(
            format: "rank %d on %@: %d forward %.1f s, %d backward %.1f s, idle %.1f s, peak memory %.2f GiB",
            report.rank, report.hostName, times.forwardCount, times.forwardSeconds, times.backwardCount,
            times.backwardSeconds, times.idleSeconds, Double(report.peakMemoryBytes) / Double(1 << 30))
    }

    private static func row(_ name: String, _ seconds: Double, of total: Double) -> String {
        let label = name.padding(toLength: 24, withPad: " ", startingAt: 0)
        return label + String(format: "%9.2f s %5.1f %%", seconds, 100 * seconds / max(total, 1e-9))
    }
}
