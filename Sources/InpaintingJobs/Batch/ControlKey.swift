import DiffusionModels
import Failures

extension BatchKey {
    /// The ControlNets of a line: a list of objects, whose keys are the options' names.
    static let control = BatchKey(name: "control") { value, draft in
        guard case .array(let elements) = value else {
            throw Failure.badData(
                "control: expected a list of objects such as [{\"control\": …}], found \(value.summary)")
        }
        let known = draft.settings.controls ?? []
        draft.settings.controls =
            elements.isEmpty
            ? nil
            : try elements.enumerated().map { index, element in
                try controlSettings(element, "control[\(index)]", default: index < known.count ? known[index] : nil)
            }
    }

    /// - Parameter known: what the command line says of the net in this place.
    private static func controlSettings(
        _ json: OrderedJSON, _ place: String, default known: ControlSettings?
    ) throws -> ControlSettings {
        guard case .object(let members) = json else {
            throw Failure.badData("\(place): expected an object such as {\"control\": …}, found \(json.summary)")
        }
        guard let net = try json["control"].map({ try text("\(place).control", $0) }) ?? known?.net else {
            throw Failure.badData("\(place).control: missing; a ControlNet needs its folder or file")
        }
        var settings = known ?? ControlSettings(net: net)
        settings.net = net
        for member in members {
            let (name, value) = ("\(place).\(member.key)", member.value)
            switch member.key {
            case "control": break
            case "control_image": settings.image = try text(name, value)
            case "control_scale": settings.scale = try decimal(name, value)
            case "control_range":
                guard let range = StepRange(try text(name, value)) else {
                    throw Failure.badData("\(name): expected a text such as \"0.2:0.8\", found \(value.summary)")
                }
                settings.range = range
            case "control_preprocess": settings.preprocessing = try choice(name, value)
            case "control_mode": settings.mode = try choice(name, value)
            case "control_background": settings.background = try choice(name, value)
            default:
                throw Failure.badData(
                    "\(name): unknown key; expected control, control_image, control_scale, control_range, "
                        + "control_preprocess, control_mode or control_background")
            }
        }
        return settings
    }
}
