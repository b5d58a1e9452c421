/// When a ControlNet or a T2I-Adapter acts, and on which branches.
public struct ActingTime: Equatable, Sendable {
    /// Shares of the steps: step i of n is inside unless i / n < start or (i + 1) / n > end. diffusers'
    /// `control_guidance_start` and `control_guidance_end`.
    public let start: Double
    public let end: Double
    /// Whether the unconditional branch goes without it.
    public let isConditionalOnly: Bool

    public init(start: Double = 0, end: Double = 1, isConditionalOnly: Bool = false) {
        self.start = start
        self.end = end
        self.isConditionalOnly = isConditionalOnly
    }

    /// - Parameter step: 0 for the first of `count`.
    func acts(at step: Int, of count: Int) -> Bool {
        let count = Double(count)
        return !(Double(step) / count < start || Double(step + 1) / count > end)
    }
}
