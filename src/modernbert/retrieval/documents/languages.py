"""What is a definition in each language, as queries to its grammar; the capture's name is the kind.

Knowledge of languages as data: `definitions.py` is the same for all.
"""

_FUNCTION_VALUES = "[(arrow_function) (function_expression) (generator_function)]"
_JAVASCRIPT = f"""
    (function_declaration) @function (generator_function_declaration) @function
    (class_declaration) @class (method_definition) @method
    (variable_declarator value: {_FUNCTION_VALUES}) @function (variable_declarator value: (class)) @class
    (assignment_expression right: {_FUNCTION_VALUES}) @function (pair value: {_FUNCTION_VALUES}) @function
    (comment) @comment (decorator) @comment
"""
_TYPESCRIPT = f"""{_JAVASCRIPT}
    (abstract_class_declaration) @class (interface_declaration) @interface (type_alias_declaration) @type
    (enum_declaration) @enum (internal_module) @namespace (module) @namespace (function_signature) @function
    (abstract_method_signature) @method (public_field_definition value: {_FUNCTION_VALUES}) @method
"""
_C = """
    (function_definition) @function (struct_specifier body: (_)) @struct (union_specifier body: (_)) @union
    (enum_specifier body: (_)) @enum (type_definition) @type (preproc_function_def) @macro (comment) @comment
"""

QUERIES: dict[str, str] = {
    "python": "(function_definition) @function (class_definition) @class (comment) @comment",
    "javascript": f"{_JAVASCRIPT} (field_definition value: {_FUNCTION_VALUES}) @method",
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": """
        (function_declaration) @function (method_declaration) @method (type_spec type: (struct_type)) @struct
        (type_spec type: (interface_type)) @interface (type_spec) @type (type_alias) @type (comment) @comment
    """,
    "rust": """
        (function_item) @function (function_signature_item) @function (struct_item) @struct (enum_item) @enum
        (union_item) @union (trait_item) @trait (impl_item) @impl (mod_item) @namespace (macro_definition) @macro
        (type_item) @type (line_comment) @comment (block_comment) @comment (attribute_item) @comment
    """,
    "java": """
        (class_declaration) @class (interface_declaration) @interface (enum_declaration) @enum
        (record_declaration) @class (annotation_type_declaration) @interface (method_declaration) @method
        (constructor_declaration) @method (compact_constructor_declaration) @method
        (line_comment) @comment (block_comment) @comment
    """,
    "c": _C,
    "cpp": f"""{_C}
        (class_specifier body: (_)) @class (namespace_definition) @namespace (alias_declaration) @type
        (concept_definition) @type
    """,
    "csharp": """
        (namespace_declaration) @namespace (class_declaration) @class (struct_declaration) @struct
        (interface_declaration) @interface (enum_declaration) @enum (record_declaration) @class
        (method_declaration) @method (constructor_declaration) @method (property_declaration) @method
        (comment) @comment
    """,
    "ruby": "(module) @namespace (class) @class (method) @function (singleton_method) @function (comment) @comment",
    "php": """
        (class_declaration) @class (interface_declaration) @interface (trait_declaration) @trait
        (enum_declaration) @enum (function_definition) @function (method_declaration) @method (comment) @comment
    """,
    "kotlin": """
        (class_declaration) @class (object_declaration) @class (function_declaration) @function
        (line_comment) @comment (block_comment) @comment
    """,
    "swift": """
        (class_declaration) @class (protocol_declaration) @interface (function_declaration) @function
        (init_declaration) @method (comment) @comment (multiline_comment) @comment
    """,
    "scala": """
        (class_definition) @class (object_definition) @class (trait_definition) @trait
        (function_definition) @function (function_declaration) @function (comment) @comment (block_comment) @comment
    """,
    "lua": "(function_declaration) @function (comment) @comment",
    "bash": "(function_definition) @function (comment) @comment",
}

CONTAINERS = frozenset({"class", "struct", "union", "interface", "trait", "impl", "namespace", "enum", "type"})
"""Kinds whose own definitions become chunks of their own."""

TYPES = CONTAINERS - {"namespace"}
"""Kinds that make a function in them a method."""

WRAPPERS = frozenset({
    "decorated_definition", "export_statement", "template_declaration", "expression_statement", "ambient_declaration",
})  # fmt: skip
"""What belongs to the definition in it."""

WRAPPERS_OF_ONE = frozenset({"lexical_declaration", "variable_declaration", "type_declaration"})
"""The same, unless it holds several."""
