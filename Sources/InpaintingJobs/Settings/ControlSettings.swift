import DiffusionModels
import Failures

/// A ControlNet of a job, and what it is given.
public struct ControlSettings: Codable, Equatable, Sendable {
    /// What is done to a picture before the net sees it as a map.
    public enum Preprocessing: String, Codable, Sendable, CaseIterable {
        /// It is a map already.
        case none
        /// Its edges.
        case canny
        /// Light becomes dark: ink on paper becomes white on black.
        case invert
        /// Its colours in 8 x 8 tiles.
        case tile
    }

    /// What the net acts on.
    public enum Mode: String, Codable, Sendable, CaseIterable {
        /// Both guidance branches.
        case balanced
        /// The conditional one alone, and less at the finer resolutions.
        case guess
    }

    /// What the map shows where the photograph is kept.
    public enum Background: String, Codable, Sendable, CaseIterable {
        /// What the picture that was given shows there.
        case image
        /// The photograph's edges.
        case canny
    }

    /// A folder's or a file's path.
    public var net: String
    /// The map, or the picture it is made from; nil for the photograph.
    public var image: String?
    public var scale = 1.0
    public var range = StepRange.all
    public var preprocessing = Preprocessing.none
    public var mode = Mode.balanced
    public var background = Background.image

    public init(net: String) { self.net = net }

    /// The learning rate at 0.95 T of a job with a ControlNet, unless somebody says another: the paper's.
    public static let learningRate = 0.05

    /// - Throws: `Failure.usage` naming the option.
    func validate() throws {
        guard scale.isFinite else {
            throw Failure.usage("--control-scale: expected a finite number, found \(scale)")
        }
        try range.validate(option: "--control-range")
    }
}

/// The part of a job's steps in which something acts, as shares of all of them.
public struct StepRange: Codable, Equatable, Sendable {
    public var start: Double
    public var end: Double

    public static let all = StepRange(start: 0, end: 1)

    public init(start: Double, end: Double) {
        self.start = start
        self.end = end
    }

    /// From `0.2:0.8`.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
        guard parts.count == 2, let start = parts[0], let end = parts[1] else { return nil }
        self.init(start: start, end: end)
    }

    public var text: String { "\(start):\(end)" }

    func validate(option: String) throws {
        guard start >= 0, start < end, end <= 1 else {
            throw Failure.usage(
                "\(option): expected two shares of the steps that rise, from 0:1 at most, found \(text)")
        }
    }
}
