import DiffusionModels
import Failures

/// What `--layout` says: `auto`, or a number for each dimension.
public enum LayoutRequest: Sendable, Equatable {
    case auto
    case numbers(LayoutNumbers)

    private enum Dimension: String, CaseIterable {
        case replicas, branches, stages, strips
    }

    /// - Parameter text: `auto`, or dimensions such as `replicas=2,branches=2,stages=3`; one that is not named is 1.
    /// - Throws: `Failure.usage` naming what is wrong.
    public init(_ text: String) throws {
        guard text != "auto" else {
            self = .auto
            return
        }
        var numbers: [Dimension: Int] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2, let dimension = Dimension(rawValue: sides[0]) else {
                throw Failure.usage(
                    "--layout: expected auto or replicas=R,branches=B,stages=S,strips=T, found \(quoted(String(part)))")
            }
            guard let number = Int(sides[1]), (1...1 << 20).contains(number) else {
                throw Failure.usage(
                    "--layout \(dimension.rawValue): expected a number from 1, found \(quoted(sides[1]))")
            }
            guard numbers.updateValue(number, forKey: dimension) == nil else {
                throw Failure.usage("--layout: names \(dimension.rawValue) twice")
            }
        }
        let branches = numbers[.branches] ?? 1
        guard branches <= GuidanceBranch.allCases.count else {
            throw Failure.usage("--layout branches: expected 1 or 2, the branches of guidance, found \(branches)")
        }
        self = .numbers(
            LayoutNumbers(
                replicas: numbers[.replicas] ?? 1, branches: branches, stages: numbers[.stages] ?? 1,
                strips: numbers[.strips] ?? 1))
    }
}

/// How many of each dimension a layout has.
public struct LayoutNumbers: Sendable, Equatable {
    public var replicas: Int
    public var branches: Int
    public var stages: Int
    public var strips: Int

    public init(replicas: Int = 1, branches: Int = 1, stages: Int = 1, strips: Int = 1) {
        self.replicas = replicas
        self.branches = branches
        self.stages = stages
        self.strips = strips
    }

    /// How many ranks that takes; nil for more than can be counted.
    var ranks: Int? {
        [replicas, branches, stages, strips].reduce(1 as Int?) { product, number in
            guard let (result, overflows) = product?.multipliedReportingOverflow(by: number) else { return nil }
            return overflows ? nil : result
        }
    }
}
