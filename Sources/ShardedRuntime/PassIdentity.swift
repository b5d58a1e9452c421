/// Names one evaluation whose pullback is kept, unique within the job.
package struct PassIdentity: Hashable, Sendable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
}
