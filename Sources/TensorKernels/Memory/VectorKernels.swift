import CVectorKernels
import Failures

/// The C loops for one instruction set.
@dynamicMemberLookup
struct VectorKernels: @unchecked Sendable {
    // Unchecked Sendable: points to a constant table.
    private let table: UnsafePointer<pilot_vector_kernels>

    init(instructionSet index: Int) throws {
        guard let table = pilot_kernels_at(Int32(index)) else {
            throw Failure.internalFault("this processor has no instruction set number \(index)")
        }
        self.table = table
    }

    var name: String { String(cString: table.pointee.name) }

    subscript<Value>(dynamicMember member: KeyPath<pilot_vector_kernels, Value>) -> Value {
        table.pointee[keyPath: member]
    }
}
