import Foundation
import InpaintingJobs
import ShardedRuntime

/// What a finished job took: time by phase, rates, memory.
struct JobSummary {
    let ledger: PhaseLedger
    let reports: [RankReport]
    /// How the machine was used, in a few words.
    let layout: String
    let result: ResultLine

    var text: String {
        let total = ledger.secondsSinceStart
        let phases = JobPhase.allCases.map { ($0, ledger.entry($0)) }.filter { $0.1.count > 0 }
        // Pictures that are made at once take more seconds together than pass.
        let other = max(0, total - phases.reduce(0) { $0 + $1.1.seconds })
        var lines = phases.map { phase, entry in Self.row(phase.rawValue, entry.seconds, of: total) }
        lines.append(Self.row("other", other, of: total))
        lines.append(Self.row("total", total, of: total))
        lines += rates
        lines += [RankTable(reports: reports).text, result.text]
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

    private static func row(_ name: String, _ seconds: Double, of total: Double) -> String {
        let label = name.padding(toLength: 24, withPad: " ", startingAt: 0)
        return label + String(format: "%9.2f s %5.1f %%", seconds, 100 * seconds / max(total, 1e-9))
    }
}
