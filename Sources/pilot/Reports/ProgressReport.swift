import Foundation
import InpaintingJobs
import PilotInpainting
import Synchronization

/// How far a job is: a bar that is drawn over itself on a terminal, lines in a log.
final class ProgressReport: Sendable {
    private struct State {
        var losses: [Int: LossValues] = [:]
        /// The share of its work that is done, of each image that was begun.
        var fractions: [Int: Double] = [:]
        var isDrawn = false
    }

    private let plan: PilotPlan
    private let imageCount: Int
    private let first: Int
    private let start = ContinuousClock.now
    private let isTerminal = Console.isTerminal
    private let state = Mutex(State())

    /// - Parameters:
    ///   - imageCount: how often `plan` is carried out.
    ///   - first: the number of the image that comes first.
    init(plan: PilotPlan, imageCount: Int, first: Int = 0) {
        self.plan = plan
        self.first = first
        self.imageCount = imageCount
    }

    func observe(_ event: PilotEvent, image: Int) {
        let image = image - first
        switch event {
        case .stepStarted(let step):
            draw(step, gradientStepsDone: 0, image: image)
        case .gradientStep(let step, let number, let loss):
            state.withLock { $0.losses[image] = loss }
            draw(step, gradientStepsDone: number, image: image)
        case .stepFinished(let step):
            log(step, image: image)
        case .finalLatent:
            clear()
        default: break
        }
    }

    /// Takes the bar off the terminal.
    func clear() {
        let wasDrawn = state.withLock { state in
            defer { state.isDrawn = false }
            return state.isDrawn
        }
        if wasDrawn { Console.write("\u{1b}[K") }
    }

    private func draw(_ step: PilotStep, gradientStepsDone done: Int, image: Int) {
        let fraction = count(plan.fractionDone(at: step, gradientStepsDone: done), of: image)
        guard isTerminal else { return }
        let loss = state.withLock { state in
            state.isDrawn = true
            return state.losses[image]
        }
        let width = 16
        let filled = Int(fraction * Double(width))
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
        var parts = [String(format: "[%@] %3d %%", bar, Int(fraction * 100))]
        if let left = timeLeft(fraction) { parts.append("\(left) left") }
        if imageCount > 1 { parts.append("image \(image + 1)/\(imageCount)") }
        parts.append("step \(step.index + 1)/\(step.count)")
        if step.isOptimized { parts.append("gradient \(done)/\(step.gradientSteps)") }
        if let loss { parts.append("loss \(Self.short(loss.total))") }
        // The cursor rests before the bar, so that whatever is printed next, an error say, goes over it.
        let line = parts.joined(separator: "  ").prefix(Console.terminalWidth - 1)
        Console.write("\(line)\u{1b}[K\r")
    }

    private func log(_ step: PilotStep, image: Int) {
        let next = step.index + 1
        let done = next < plan.steps.count ? plan.fractionDone(at: plan.steps[next], gradientStepsDone: 0) : 1
        let fraction = count(done, of: image)
        guard !isTerminal else { return }
        let loss = state.withLock { $0.losses[image] }
        var line = imageCount > 1 ? "image \(image + 1)/\(imageCount), " : ""
        line += "step \(step.index + 1)/\(step.count), timestep \(step.timestep)"
        if step.isOptimized, let loss {
            line += ", \(Console.count(step.gradientSteps, "gradient step")), loss \(Self.short(loss.total)) "
            line += "(background \(Self.short(loss.background)), semantic \(Self.short(loss.semantic)))"
        }
        if let left = timeLeft(fraction), fraction < 1 { line += ", \(left) left" }
        Console.note(line)
    }

    /// Takes down how much of an image is done; returns how much of all is.
    private func count(_ fraction: Double, of image: Int) -> Double {
        state.withLock { state in
            state.fractions[image] = fraction
            return state.fractions.values.reduce(0, +) / Double(imageCount)
        }
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
