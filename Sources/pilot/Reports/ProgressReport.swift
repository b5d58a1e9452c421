import Foundation
import InpaintingJobs
import PilotInpainting
import Synchronization

/// How far a job's steps are: as a bar, and as lines for a log.
final class ProgressReport: Sendable {
    private struct State {
        var losses: [Int: LossValues] = [:]
        /// The share of its work that is done, of each run that was begun.
        var fractions: [Int: Double] = [:]
    }

    private let plan: PilotPlan
    private let edit: String?
    private let runCount: Int
    private let first: Int
    private let name: String
    private let line: ProgressLine
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    /// - Parameters:
    ///   - edit: which of several edits this is, in words.
    ///   - runCount: how often `plan` is carried out.
    ///   - first: the number of the run that comes first.
    ///   - name: what a run makes.
    ///   - line: where it is shown.
    init(plan: PilotPlan, edit: String?, runCount: Int, first: Int = 0, called name: String, line: ProgressLine) {
        self.plan = plan
        self.edit = edit
        self.first = first
        self.runCount = runCount
        self.name = name
        self.line = line
    }

    func observe(_ event: PilotEvent, run: Int) {
        let run = run - first
        switch event {
        case .stepStarted(let step):
            show(step, gradientStepsDone: 0, run: run)
        case .gradientStep(let step, let number, let loss):
            state.withLock { $0.losses[run] = loss }
            show(step, gradientStepsDone: number, run: run)
        case .stepFinished(let step):
            let next = step.index + 1
            count(
                next < plan.steps.count ? plan.fractionDone(at: plan.steps[next], gradientStepsDone: 0) : 1, of: run)
            line.log(log(step, run: run))
        case .finalLatent where runCount == 1:
            line.clear()
        default: break
        }
    }

    private func show(_ step: PilotStep, gradientStepsDone done: Int, run: Int) {
        count(plan.fractionDone(at: step, gradientStepsDone: done), of: run)
        line.show { [weak self] notice in self?.bar(step, done, run, notice) ?? "" }
    }

    private func bar(_ step: PilotStep, _ gradientStepsDone: Int, _ run: Int, _ notice: String?) -> String {
        let fraction = fractionDone
        let width = 16
        let filled = Int(fraction * Double(width))
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
        var parts = [String(format: "[%@] %3d %%", bar, Int(fraction * 100))]
        // While nothing comes nobody knows how long it will take.
        if let notice { parts.append(notice) } else if let left = timeLeft(fraction) { parts.append("\(left) left") }
        if let edit { parts.append(edit) }
        if runCount > 1 { parts.append("\(name) \(run + 1)/\(runCount)") }
        parts.append("step \(step.index + 1)/\(step.count)")
        if step.isOptimized { parts.append("gradient \(gradientStepsDone)/\(step.gradientSteps)") }
        if let loss = state.withLock({ $0.losses[run] }) { parts.append("loss \(Self.short(loss.total))") }
        return parts.joined(separator: "  ")
    }

    private func log(_ step: PilotStep, run: Int) -> String {
        let fraction = fractionDone
        let loss = state.withLock { $0.losses[run] }
        var line = edit.map { "\($0), " } ?? ""
        if runCount > 1 { line += "\(name) \(run + 1)/\(runCount), " }
        line += "step \(step.index + 1)/\(step.count), timestep \(step.timestep)"
        if step.isOptimized, let loss {
            line += ", \(Console.count(step.gradientSteps, "gradient step")), loss \(Self.short(loss.total)) "
            line += "(background \(Self.short(loss.background)), semantic \(Self.short(loss.semantic)))"
        }
        if let left = timeLeft(fraction), fraction < 1 { line += ", \(left) left" }
        return line
    }

    /// Takes down how much of a run is done.
    private func count(_ fraction: Double, of run: Int) { state.withLock { $0.fractions[run] = fraction } }

    /// How much of all runs is done.
    private var fractionDone: Double {
        state.withLock { $0.fractions.values.reduce(0, +) / Double(runCount) }
    }

    private func timeLeft(_ fraction: Double) -> String? {
        guard fraction > 0 else { return nil }
        let passed = (ContinuousClock.now - start).inSeconds
        return Self.clock(passed * (1 - fraction) / fraction)
    }

    /// `0:07`, `12:40`, `1:02:03`.
    static func clock(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e9).rounded())
        let (minutes, rest) = (whole / 60, whole % 60)
        guard minutes >= 60 else { return "\(minutes):\(padded(rest))" }
        return "\(minutes / 60):\(padded(minutes % 60)):\(padded(rest))"
    }

    private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// Four significant digits.
    static func short(_ number: Double) -> String { String(format: "%.4g", number) }
}
