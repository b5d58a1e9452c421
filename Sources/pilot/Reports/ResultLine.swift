import Foundation
import InpaintingJobs
import PilotInpainting

/// The last line of a job: where its result is, how long it took, and how to go on.
struct ResultLine {
    let settings: JobSettings
    let outputs: JobOutputs
    let seconds: Double

    var text: String {
        let last = outputs.count - 1
        let files =
            last == 0
            ? outputs.picture(0) : "\(outputs.picture(0)) to \(outputs.picture(last)), \(outputs.count) pictures"
        let seeds = Self.seeds(settings.method.seed, count: outputs.count)
        let made = "\(files): made in \(String(format: "%.1f", seconds)) s, \(seeds)"
        // What went to a pipe is nothing to go on from.
        return outputs.takesStandardOutput ? made : "\(made); another: \(another)"
    }

    /// A command that paints the same once more, from other noise.
    private var another: String {
        let source = outputs.picture(outputs.count - 1)
        let seed = settings.method.seed &+ UInt64(outputs.count)
        let suffixes = ResultFormat.allCases.flatMap(\.suffixes).map { "." + $0 }
        let suffix = suffixes.first { outputs.picture.lowercased().hasSuffix($0) } ?? ""
        let stem = outputs.picture.dropLast(suffix.count)
        let ending = suffix.isEmpty ? ".png" : outputs.picture.suffix(suffix.count)
        let program = CommandLine.arguments.first ?? "pilot"
        return [program, "inpaint", "--from", source, "--seed", "\(seed)", "--output", "\(stem)-seed-\(seed)\(ending)"]
            .map(Self.shellWord).joined(separator: " ")
    }

    /// `seed 7`, `seeds 7 to 9`
    static func seeds(_ first: UInt64, count: Int) -> String {
        count == 1 ? "seed \(first)" : "seeds \(first) to \(first &+ UInt64(count - 1))"
    }

    /// As a shell reads it back.
    private static func shellWord(_ text: String) -> String {
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-_./:,+=@%"))
        guard text.isEmpty || !text.unicodeScalars.allSatisfy(plain.contains) else { return text }
        return "'\(text.replacing("'", with: "'\\''"))'"
    }
}
